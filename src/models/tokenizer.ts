import { setImmediate } from 'node:timers/promises'
import type { ChatMessage } from './answer.ts'

/** The cost of a long run without spaces grows with its square; pieces this short take well under a millisecond. */
const MAX_SLICE = 256
/** After so much work in a row others get their turn. */
const TURN_MS = 4
const MAX_REMEMBERED_WORDS = 10_000

/**
 * What OpenAI's guide to counting tokens says a message costs beside its text, a name, and the beginning of the answer:
 * https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken
 */
const PER_MESSAGE = 3
const PER_NAME = 1
const PER_ANSWER = 3
/** A picture of 1024 × 1024 in high detail, and any in low: https://platform.openai.com/docs/guides/images-vision */
const PER_IMAGE = 765
const PER_SMALL_IMAGE = 85

type Count = (text: string) => number
let counter: Promise<Count> | undefined

/** The vocabulary takes some 150 ms and 70 MB: with the first count, not with the process. */
function load(): Promise<Count> {
  counter ??= import('gpt-tokenizer/encoding/o200k_base').then(({ countTokens: count, setMergeCacheSize }) => {
    setMergeCacheSize(MAX_REMEMBERED_WORDS)
    // What looks like a special token is text that somebody typed.
    const plain = { disallowedSpecial: new Set<string>() }
    return (text) => count(text, plain)
  })
  return counter
}

/** Tokens of a text in OpenAI's present encoding (o200k); for models of others an estimate. */
export function countTokens(text: string): Promise<number> {
  return countAll([text])
}

/** Tokens of a prompt, with what the chat format adds to its texts. */
export async function countMessages(messages: readonly ChatMessage[]): Promise<number> {
  const overhead = messages.reduce((sum, message) => sum + PER_MESSAGE + overheadOf(message), PER_ANSWER)
  return overhead + (await countAll(messages.flatMap(textsOf)))
}

/** No text has more tokens than this: a token is at least one byte of UTF-8. */
export function maxTokens(text: string): number {
  return Buffer.byteLength(text)
}

async function countAll(texts: Iterable<string>): Promise<number> {
  const count = await load()
  let total = 0
  let turnStartedAt = performance.now()
  for (const text of texts) {
    for (let from = 0; from < text.length; ) {
      const to = sliceEnd(text, from)
      total += count(text.slice(from, to))
      from = to
      if (performance.now() - turnStartedAt < TURN_MS) continue
      await setImmediate()
      turnStartedAt = performance.now()
    }
  }
  return total
}

/** The last place, not too far on, where a word begins: the encoding never joins over it. Else anywhere but in a pair. */
function sliceEnd(text: string, from: number): number {
  const limit = from + MAX_SLICE
  if (limit >= text.length) return text.length
  for (let at = limit; at > from; at--) if (beginsWord(text, at)) return at
  const low = text.charCodeAt(limit)
  return low >= 0xdc00 && low < 0xe000 ? limit - 1 : limit
}

function beginsWord(text: string, at: number): boolean {
  return text.charAt(at) === ' ' && /\S/.test(text.charAt(at - 1)) && /\S/.test(text.charAt(at + 1))
}

function overheadOf({ name, content }: ChatMessage): number {
  const images = partsOf(content).filter(({ type }) => type === 'image_url')
  return images.reduce((sum, image) => sum + imageTokens(image), name ? PER_NAME : 0)
}

function imageTokens({ image_url }: Record<string, unknown>): number {
  return (image_url as { detail?: unknown } | undefined)?.detail === 'low' ? PER_SMALL_IMAGE : PER_IMAGE
}

function textsOf({ role, content, name, tool_calls }: ChatMessage): string[] {
  const shown = typeof content === 'string' ? [content] : partsOf(content).map(({ text }) => text)
  const calls = tool_calls?.flatMap((call) => [call.function?.name, call.function?.arguments]) ?? []
  return [role, name, ...shown, ...calls].filter((text) => typeof text === 'string')
}

/** What a caller sends is taken as it comes. */
function partsOf(content: ChatMessage['content']): Record<string, unknown>[] {
  return Array.isArray(content) ? content.filter((part) => typeof part === 'object' && part !== null) : []
}
