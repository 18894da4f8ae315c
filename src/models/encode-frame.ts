import type { Wire } from './chunk-reader.ts'

/** One chat completion chunk as an SSE frame. Without a finish reason the choice is still open. */
export function encodeFrame(wire: Wire, delta: Readonly<Record<string, unknown>>, finishReason?: string): Buffer {
  const chunk = {
    id: wire.id,
    object: 'chat.completion.chunk',
    created: wire.created,
    model: wire.model,
    choices: [{ index: 0, delta, finish_reason: finishReason ?? null }],
  }
  return Buffer.from(`data: ${JSON.stringify(chunk)}\n\n`)
}
