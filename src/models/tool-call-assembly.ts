import type { ToolCall } from './answer.ts'

interface Assembling {
  /** The index the provider gave, or the next free one where it gave none. */
  index: number
  id: string
  name: string
  arguments: string
}

/**
 * Puts tool calls together from their deltas: interleaved, with ids that come late, repeatedly or never, with an index
 * that is missing or the same for two calls with different ids.
 */
export class ToolCallAssembly {
  readonly #calls: Assembling[] = []

  get size(): number {
    return this.#calls.length
  }

  /** Takes one element of `delta.tool_calls`; returns how many characters of arguments it brought. */
  add(delta: Readonly<Record<string, unknown>>): number {
    const given = record(delta.function)
    const id = text(delta.id)
    const name = text(given.name)
    const call = this.#find(delta.index, id, name) ?? this.#begin(delta.index)
    call.id ||= id
    call.name ||= name
    const piece = argumentsText(given.arguments)
    call.arguments += piece
    return piece.length
  }

  /** The calls in the provider's order, numbered from 0. */
  calls(): ToolCall[] {
    const ordered = this.#calls.toSorted((a, b) => a.index - b.index)
    return ordered.map((call, index) => {
      const id = call.id || `call_${index}`
      const args = call.arguments.trim() === '' ? '{}' : call.arguments
      const invalid = faultOf(call.name, args)
      return { index, id, name: call.name, arguments: args, ...(invalid && { invalid }) }
    })
  }

  #find(index: unknown, id: string, name: string): Assembling | undefined {
    const sameId = id ? this.#calls.find((call) => call.id === id) : undefined
    if (sameId) return sameId
    const last = typeof index === 'number' ? this.#calls.findLast((call) => call.index === index) : this.#calls.at(-1)
    if (!last || (id && last.id)) return undefined
    const startsAnother = typeof index !== 'number' && name && last.name
    return startsAnother ? undefined : last
  }

  #begin(index: unknown): Assembling {
    const next = Math.max(-1, ...this.#calls.map((call) => call.index)) + 1
    const call = { index: typeof index === 'number' ? index : next, id: '', name: '', arguments: '' }
    this.#calls.push(call)
    return call
  }
}

function faultOf(name: string, args: string): string | undefined {
  if (!name) return 'The call names no function.'
  try {
    const value: unknown = JSON.parse(args)
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isObject ? undefined : 'The arguments are not a JSON object.'
  } catch {
    return 'The arguments are not valid JSON.'
  }
}

/** Some servers send the arguments as an object instead of its text. */
function argumentsText(value: unknown): string {
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : text(value)
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
