import type { Chat } from '#chat/chat.ts'
import { systemClock } from '#platform/clock.ts'
import { defaultLimits } from '#transport/limits.ts'
import { registerOpenAiApi } from '#transport/openai/openai-api.ts'
import { startTransport, type TransportServer, type TransportServerOptions } from './transport-server.ts'

/** The OpenAI-compatible surface alone, before a chat that a test scripts. */
export function startSurface(chat: Chat, options: TransportServerOptions = {}): Promise<TransportServer> {
  const { clock = systemClock } = options
  const limits = { ...defaultLimits, ...options.limits }
  return startTransport((server, log) => registerOpenAiApi(server, { chat, log, clock, limits }), options)
}

const question = [{ role: 'user', content: 'Hello?' }]

/** Asks for a chat completion: of the route `default`, with a short question, unless the body says otherwise. */
export function ask(url: string, body: object = {}, init: RequestInit = {}): Promise<Response> {
  return fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    ...init,
    headers: { 'content-type': 'application/json', ...init.headers },
    body: JSON.stringify({ model: 'default', messages: question, ...body }),
  })
}

/** The same as bytes of HTTP, for clients that are cut off, deaf or slow. */
export function rawAsk(body: object = {}): string {
  const json = JSON.stringify({ model: 'default', messages: question, stream: true, ...body })
  return [
    'POST /v1/chat/completions HTTP/1.1',
    'host: localhost',
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(json)}`,
    '',
    json,
  ].join('\r\n')
}

interface Chunk {
  id: string
  model: string
  choices: { delta: Record<string, unknown>; finish_reason: string | null }[]
  usage?: Record<string, unknown>
  parley?: Record<string, unknown>
  error?: Record<string, unknown>
}

/** What a stream's body says: its chunks, comments left out, and whether it ended with `[DONE]`. */
export function readStream(body: string): { chunks: Chunk[]; done: boolean } {
  const data = body
    .split('\n\n')
    .filter((frame) => frame.startsWith('data: '))
    .map((frame) => frame.slice(6))
  const done = data.at(-1) === '[DONE]'
  return { chunks: (done ? data.slice(0, -1) : data).map((text) => JSON.parse(text)), done }
}

export function contentOf(chunks: readonly Chunk[]): string {
  return chunks.map((chunk) => chunk.choices?.[0]?.delta.content ?? '').join('')
}
