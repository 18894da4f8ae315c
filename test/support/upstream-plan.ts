/** What the mock upstream does with one request; everything has a default that works. */
export interface Plan {
  /** Another status than 200, answered with an error body. */
  status?: number
  retryAfter?: string
  retryAfterMs?: string
  errorBody?: string
  /** Never answers, not even with headers. */
  hang?: boolean
  /** The pieces of content, in order; otherwise `tokens` made up ones. */
  pieces?: readonly string[]
  tokens?: number
  /** Pieces per second; as fast as possible when absent. */
  pace?: number
  firstDelayMs?: number
  /** After so many pieces nothing more is said until then, for what has to happen in the middle of an answer. */
  held?: { at: number; until: Promise<unknown> }
  /** Events joined in one write. */
  burst?: number
  /** Every byte of the body travels alone. */
  frag?: boolean
  /** Lines end with CRLF. */
  crlf?: boolean
  /** Send the usage event: as the request asks when absent. */
  usage?: boolean
  finish?: string
  toolCalls?: readonly PlannedCall[]
  /** The deltas of several calls take turns. */
  interleave?: boolean
  /** What goes wrong, after so many events with content (`at`, by default after all of them). */
  fault?: Fault
  at?: number
}

export interface PlannedCall {
  name: string
  arguments: string
  /** null: the provider forgets it. */
  id?: string | null
}

/**
 * garbage: an event that is not JSON · half-chunk: half an event, then the end · no-finish: the end without a finish
 * reason · keep-alives: nothing but comments from there on · stall: silence · reset: RST in the middle of a multi-byte
 * character · cut: the connection closes within the body · error: an error object instead of a chunk
 */
export type Fault = 'garbage' | 'half-chunk' | 'no-finish' | 'keep-alives' | 'stall' | 'reset' | 'cut' | 'error'

const MODEL = 'mock-1'

/** What comes from the last user message: `mock: tokens=5 pace=100 fault=reset at=3`; values are JSON or plain text. */
export function planFromMessage(text: string): Plan {
  const steered = /^mock:(.*)/m.exec(text)
  if (!steered) return {}
  const pairs = (steered[1] ?? '')
    .trim()
    .split(/\s+/)
    .filter((pair) => pair.includes('='))
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=')
      return [pair.slice(0, at), valueFrom(pair.slice(at + 1))]
    }),
  )
}

/** The pieces of a made-up answer: words, some with characters of two, three and four bytes, quotes and line ends. */
export function madeUpPieces(count: number): string[] {
  const words = ['alpha ', 'bêta ', '伽馬 ', 'δ🙂 ', '"quoted" ', 'back\\slash ', 'line\n', 'plain ']
  return Array.from({ length: count }, (_, index) => `${index}:${words[index % words.length]}`)
}

export interface PlannedEvents {
  /** Before any content. */
  opening: string[]
  content: string[]
  closing: string[]
}

/** All events of an answer, as JSON text. */
export function eventsOf(plan: Plan, id: string, includeUsage: boolean): PlannedEvents {
  const event = (choices: unknown[], more: object = {}) =>
    JSON.stringify({ id, object: 'chat.completion.chunk', created: 1_760_000_000, model: MODEL, choices, ...more })
  const choice = (delta: object, finish: string | null = null) => [
    { index: 0, delta, logprobs: null, finish_reason: finish },
  ]
  const pieces = piecesOf(plan)
  const usage = { prompt_tokens: 16, completion_tokens: pieces.length, total_tokens: 16 + pieces.length }
  const calls = toolDeltas(plan).map((call) => event(choice({ tool_calls: [call] })))
  return {
    opening: [event(choice({ role: 'assistant', content: '', refusal: null }))],
    content: [...pieces.map((content) => event(choice({ content }))), ...calls],
    closing: [
      event(choice({}, plan.finish ?? (calls.length > 0 ? 'tool_calls' : 'stop'))),
      ...(includeUsage ? [event([], { usage })] : []),
    ],
  }
}

/** The same answer for a request that does not stream. */
export function wholeAnswer(plan: Plan, id: string): object {
  const content = piecesOf(plan).join('')
  const calls = (plan.toolCalls ?? []).map((call, index) => ({
    id: call.id ?? `call_${index}`,
    type: 'function',
    function: { name: call.name, arguments: call.arguments },
  }))
  const message = { role: 'assistant', content, ...(calls.length > 0 && { tool_calls: calls }) }
  return {
    id,
    object: 'chat.completion',
    created: 1_760_000_000,
    model: MODEL,
    choices: [{ index: 0, message, finish_reason: plan.finish ?? (calls.length > 0 ? 'tool_calls' : 'stop') }],
    usage: { prompt_tokens: 16, completion_tokens: 8, total_tokens: 24 },
  }
}

function piecesOf(plan: Plan): readonly string[] {
  return plan.pieces ?? madeUpPieces(plan.tokens ?? (plan.toolCalls ? 0 : 8))
}

function toolDeltas(plan: Plan): object[] {
  const perCall = (plan.toolCalls ?? []).map((call, index) => {
    const id = call.id === null ? {} : { id: call.id ?? `call_mock${index}` }
    const middle = Math.ceil(call.arguments.length / 2)
    return [
      { index, ...id, type: 'function', function: { name: call.name, arguments: '' } },
      { index, function: { arguments: call.arguments.slice(0, middle) } },
      { index, function: { arguments: call.arguments.slice(middle) } },
    ]
  })
  if (!plan.interleave) return perCall.flat()
  return [0, 1, 2].flatMap((step) => perCall.flatMap((deltas) => deltas[step] ?? []))
}

function valueFrom(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
