/** One event of a stream, as a reader gets it. */
export interface SseEvent {
  id: string | undefined
  type: string
  data: unknown
}

/**
 * The events of an SSE body as they come, by the letter of the standard as far as Parley uses it. The body is taken hold of
 * at once, not with the first event asked for: `fetch` cancels a body that nobody reads when its response is collected.
 */
export function sseEvents(body: ReadableStream<Uint8Array> | null): AsyncGenerator<SseEvent> {
  return eventsOf(body ? body.values() : [])
}

async function* eventsOf(body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<SseEvent> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const bytes of body) {
    const blocks = (rest + decoder.decode(bytes, { stream: true })).split('\n\n')
    rest = blocks.pop() ?? ''
    for (const block of blocks) {
      const event = readBlock(block)
      if (event) yield event
    }
  }
}

function readBlock(block: string): SseEvent | undefined {
  let id: string | undefined
  let type = 'message'
  const data: string[] = []
  for (const line of block.split('\n')) {
    if (line.startsWith('id: ')) id = line.slice(4)
    else if (line.startsWith('event: ')) type = line.slice(7)
    else if (line.startsWith('data: ')) data.push(line.slice(6))
  }
  return data.length > 0 ? { id, type, data: JSON.parse(data.join('\n')) } : undefined
}
