import type { Answer } from '#models/answer.ts'
import { type Fields, firstChoice, frameData, isFields } from '#models/chunk-event.ts'
import type { Wire } from '#models/chunk-reader.ts'

type Draft = Record<string, unknown>

/** Of a delta, what is a piece of a text; all else is said whole. */
const TEXTS = new Set(['content', 'refusal', 'reasoning', 'reasoning_content'])
/** Of a tool call's function, or of a custom tool. */
const CALL_TEXTS = new Set(['arguments', 'input'])
/** Of a chunk, what the completion says in its own way, and padding. */
const OWN = new Set(['id', 'object', 'created', 'model', 'choices', 'usage', 'obfuscation'])

/** One chat completion out of its chunks: what they say in pieces is joined, of the rest the last word stands. */
export class CompletionFold {
  readonly #top: Draft = {}
  readonly #choice: Draft = {}
  readonly #message: Draft = {}
  readonly #calls: Draft[] = []
  readonly #logprobs: Record<string, unknown[]> = {}

  /** Takes whole SSE frames. */
  add(frames: Buffer): void {
    for (const frame of frames.toString().split(/\n\r?\n/)) {
      const data = frameData(frame)
      if (data !== undefined) this.#chunk(JSON.parse(data))
    }
  }

  /** `finish` is used where the provider named no reason. */
  completion(wire: Wire, finish: Answer['finish']): Draft {
    const { content = '', refusal = null, ...message } = this.#message
    const calls = this.#calls.toSorted((a, b) => Number(a.index) - Number(b.index))
    const silent = content === '' && (calls.length > 0 || refusal !== null)
    return {
      ...this.#top,
      id: wire.id,
      object: 'chat.completion',
      created: wire.created,
      model: wire.model,
      choices: [
        {
          finish_reason: finish,
          ...this.#choice,
          index: 0,
          message: {
            ...message,
            role: 'assistant',
            content: silent ? null : content,
            refusal,
            ...(calls.length > 0 && { tool_calls: calls.map(finishedCall) }),
          },
          logprobs: Object.keys(this.#logprobs).length > 0 ? this.#logprobs : null,
        },
      ],
    }
  }

  #chunk(chunk: Fields): void {
    for (const [name, value] of Object.entries(chunk)) if (!OWN.has(name)) this.#top[name] = value
    const { delta, logprobs, index: _, ...rest } = firstChoice(chunk) ?? {}
    for (const [name, value] of Object.entries(rest)) if (value !== null) this.#choice[name] = value
    if (isFields(logprobs)) this.#addLogprobs(logprobs)
    if (!isFields(delta)) return
    const { tool_calls: calls, ...fields } = delta
    merge(this.#message, fields, TEXTS)
    if (Array.isArray(calls)) for (const call of calls) if (isFields(call)) this.#addCall(call)
  }

  #addLogprobs(logprobs: Fields): void {
    for (const [name, list] of Object.entries(logprobs)) {
      if (!Array.isArray(list)) continue
      this.#logprobs[name] ??= []
      this.#logprobs[name].push(...list)
    }
  }

  #addCall(delta: Fields): void {
    const call = this.#callOf(delta) ?? { index: delta.index ?? this.#calls.length }
    if (!this.#calls.includes(call)) this.#calls.push(call)
    for (const [name, value] of Object.entries(delta)) {
      if (isFields(value)) call[name] = merge(isFields(call[name]) ? { ...call[name] } : {}, value, CALL_TEXTS)
      else if (name !== 'index' && value !== null && value !== '') call[name] = value
    }
  }

  /** Some servers repeat an index for a call with another id, or leave indices out. */
  #callOf({ id, index }: Fields): Draft | undefined {
    const known = id ? this.#calls.find((call) => call.id === id) : undefined
    if (known) return known
    const last = index === undefined ? this.#calls.at(-1) : this.#calls.findLast((call) => call.index === index)
    return id && last?.id ? undefined : last
  }
}

/** Texts grow, of the rest the last word stands; null says nothing. */
function merge(draft: Draft, delta: Fields, texts: ReadonlySet<string>): Draft {
  for (const [name, value] of Object.entries(delta)) {
    const before = draft[name]
    if (texts.has(name) && typeof value === 'string' && typeof before === 'string') draft[name] = before + value
    else if (value !== null && (value !== '' || before === undefined)) draft[name] = value
  }
  return draft
}

function finishedCall({ index: _, ...call }: Draft, at: number): Draft {
  return { id: `call_${at}`, type: 'function', ...call }
}
