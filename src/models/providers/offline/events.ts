import type { Wire } from '../../chunk-reader.ts'
import { countPieces, piecesOf } from './pieces.ts'
import type { Reply } from './reply.ts'

/** The events of one answer as frames of OpenAI's SSE format. */
export interface Script {
  opening: string
  /** How many tokens there are, and the frame of each; made when it is due, for thousands of streams are open at once. */
  length: number
  token(index: number): string
  closing: string
}

/** Writes down how a reply streams: no more than `max_tokens` of it, usage at the end if it was asked for. */
export function scriptOf(reply: Reply, wire: Wire, body: Readonly<Record<string, unknown>>): Script {
  const head = `"id":${JSON.stringify(wire.id)},"object":"chat.completion.chunk","created":${wire.created},"model":${JSON.stringify(wire.model)}`
  const frame = (rest: string) => `data: {${head},${rest}}\n\n`
  const choice = (delta: string, finish = 'null') =>
    frame(`"choices":[{"index":0,"delta":${delta},"finish_reason":${finish}}]`)

  const pieces = piecesOf(reply.text)
  const cut = pieces.length > tokenLimit(body)
  if (cut) pieces.length = tokenLimit(body)
  const calls = reply.calls.flatMap(callDeltas)
  const token = (index: number) => {
    const content = pieces[index]
    return JSON.stringify(content === undefined ? { tool_calls: [calls[index - pieces.length]] } : { content })
  }
  const finish = cut ? '"length"' : reply.calls.length > 0 ? '"tool_calls"' : '"stop"'
  const prompt = countPieces(body.messages) + (body.tools ? countPieces(body.tools) : 0)
  const completion = pieces.length + calls.length
  const usage = { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion }
  return {
    opening: choice('{"role":"assistant","content":""}'),
    length: completion,
    token: (index) => choice(token(index)),
    closing: `${choice('{}', finish)}${wantsUsage(body) ? frame(`"choices":[],"usage":${JSON.stringify(usage)}`) : ''}data: [DONE]\n\n`,
  }
}

function callDeltas({ id, name, arguments: text }: Reply['calls'][number], index: number): object[] {
  const start = { index, id, type: 'function', function: { name, arguments: '' } }
  return [start, ...piecesOf(text).map((piece) => ({ index, function: { arguments: piece } }))]
}

function tokenLimit({ max_completion_tokens, max_tokens }: Readonly<Record<string, unknown>>): number {
  const limit = max_completion_tokens ?? max_tokens
  return typeof limit === 'number' && limit >= 1 ? Math.floor(limit) : Number.POSITIVE_INFINITY
}

function wantsUsage({ stream_options }: Readonly<Record<string, unknown>>): boolean {
  return (stream_options as { include_usage?: unknown } | undefined)?.include_usage === true
}
