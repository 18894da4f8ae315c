import { ChunkReader } from '../src/models/chunk-reader.ts'

/**
 * What reading one chunk costs, one chunk per read as a paced stream brings them, 200 chunks an answer. The baseline is
 * the least that any client does: decode, split into lines, JSON.parse.
 *
 *   node bench/micro-reader.ts
 */
const CHUNKS = 200
const ROUNDS = 7
const ANSWERS = 500

const event = (content: string, more: string) =>
  Buffer.from(
    `data: {"id":"chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG","object":"chat.completion.chunk","created":1741570283,` +
      `"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_fc9f1d7035",` +
      `"choices":[{"index":0,"delta":{"content":${JSON.stringify(content)}},"logprobs":null,"finish_reason":null}]${more}}\n\n`,
  )

const streams = {
  'plain words': (index: number) => event(` token${index}`, ''),
  'escapes, UTF-8': (index: number) => event(` "ä\n${index}"`, ''),
  'with padding': (index: number) => event(` token${index}`, `,"usage":null,"obfuscation":"${'x'.repeat(index % 9)}"`),
  'frames that differ': (index: number) => event(` token${index}`, `,"n":${index}`),
}

const readers = {
  'JSON.parse': (chunks: readonly Buffer[]) => {
    const decoder = new TextDecoder()
    let text = ''
    for (const chunk of chunks) {
      for (const line of decoder.decode(chunk, { stream: true }).split('\n')) {
        if (line.startsWith('data: ')) text += JSON.parse(line.slice(6)).choices[0].delta.content
      }
    }
    return text
  },
  'mode text': (chunks: readonly Buffer[]) => {
    const reader = new ChunkReader('text')
    for (const chunk of chunks) reader.push(chunk)
    return reader.text()
  },
  'mode relay': (chunks: readonly Buffer[]) => {
    const reader = new ChunkReader('relay')
    for (const chunk of chunks) reader.push(chunk)
    return reader.text()
  },
}

function nsPerChunk(read: (chunks: readonly Buffer[]) => string, chunks: readonly Buffer[]): number {
  const rounds = Array.from({ length: ROUNDS }, () => {
    const started = process.hrtime.bigint()
    for (let answer = 0; answer < ANSWERS; answer++) read(chunks)
    return Number(process.hrtime.bigint() - started) / (ANSWERS * chunks.length)
  })
  return rounds.toSorted((a, b) => a - b)[Math.floor(ROUNDS / 2)] ?? Number.NaN
}

const rows = Object.entries(streams).map(([name, make]) => {
  const chunks = Array.from({ length: CHUNKS }, (_, index) => make(index))
  const [parse = Number.NaN, text = Number.NaN, relay = Number.NaN] = Object.values(readers).map((read) =>
    nsPerChunk(read, chunks),
  )
  return {
    stream: name,
    'bytes/chunk': chunks[CHUNKS / 2]?.length,
    'JSON.parse ns': Math.round(parse),
    'text ns': Math.round(text),
    'relay ns': Math.round(relay),
    'text ×': (text / parse).toFixed(2),
    'relay ×': (relay / parse).toFixed(2),
  }
})
console.table(rows)
