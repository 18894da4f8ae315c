import type { ChatMessage } from './answer.ts'

type Encode = (text: string) => number

/** The tables take tens of milliseconds and megabytes to load: with the first count, not with the process. */
let encoding: Promise<Encode> | undefined
const load = (): Promise<Encode> =>
  (encoding ??= import('gpt-tokenizer/encoding/o200k_base').then((module) => (text) => module.countTokens(text)))

export async function countTokens(text: string): Promise<number> {
  const count = await load()
  return count(text)
}

export async function countMessages(messages: readonly ChatMessage[]): Promise<number> {
  return countTokens(JSON.stringify(messages))
}

/** An upper bound without counting: no token is shorter than a byte. */
export function maxTokens(text: string): number {
  return Buffer.byteLength(text)
}
