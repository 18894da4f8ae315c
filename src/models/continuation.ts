import type { ChatMessage } from './answer.ts'
import { type Join, joinInstructed, joinPrefill } from './overlap.ts'
import type { ModelSpec } from './schema.ts'

export type Continuation = ModelSpec['continuation']

const TAIL_LENGTH = 80
/** Room for saying the last words again. */
const TAIL_TOKENS = 32

/** The prompt of a model that takes over a text that another one began. */
export function continuationMessages(
  how: Continuation,
  messages: readonly ChatMessage[],
  visible: string,
): readonly ChatMessage[] {
  // Some providers refuse a prefix that ends in white space, and one that is nothing else continues nothing.
  const prefix = visible.trimEnd().toWellFormed()
  if (how === 'restart' || prefix === '') return messages
  const said: ChatMessage = { role: 'assistant', content: prefix }
  return how === 'prefill' ? [...messages, said] : [...messages, said, { role: 'user', content: instruction(prefix) }]
}

const TOKEN_LIMITS = ['max_tokens', 'max_completion_tokens']

export function hasTokenLimit(parameters: Readonly<Record<string, unknown>>): boolean {
  return TOKEN_LIMITS.some((name) => typeof parameters[name] === 'number')
}

/** A limit of tokens holds for the whole answer: what is visible counts, unless the model starts over. */
export function continuationParameters(
  how: Continuation,
  parameters: Readonly<Record<string, unknown>>,
  spentTokens: number,
): Readonly<Record<string, unknown>> {
  if (how === 'restart' || spentTokens === 0) return parameters
  const credit = how === 'instructed' ? TAIL_TOKENS : 0
  const limits = TOKEN_LIMITS.map((name) => [name, parameters[name]] as const)
  const left = limits.flatMap(([name, limit]) =>
    typeof limit === 'number' ? [[name, Math.max(1, limit - spentTokens) + credit]] : [],
  )
  return { ...parameters, ...Object.fromEntries(left) }
}

/** The joint of what such a model says, once it can be told; see `overlap.ts`. */
export function joinOutput(how: Continuation, visible: string, output: string, ended: boolean): Join | undefined {
  if (how === 'restart') return output === '' && !ended ? undefined : { reset: true }
  return how === 'prefill' ? joinPrefill(visible, output, ended) : joinInstructed(visible, output, ended)
}

/** The last words are asked for again because they anchor the seam: left to itself a model loses the space there. */
function instruction(prefix: string): string {
  return [
    'Your answer above was cut off. Go on exactly where it stops, as if there had been no break: same language, same',
    'form, no greeting, no remark about the interruption, nothing said twice. Only begin with its last words, repeated',
    `character for character, and continue from there. Its last words are:\n\n${tailOf(prefix)}`,
  ].join(' ')
}

function tailOf(text: string): string {
  if (text.length <= TAIL_LENGTH) return text
  const tail = text.slice(-TAIL_LENGTH)
  const word = /\s(?=\S)/.exec(tail)
  return word && word.index < TAIL_LENGTH / 2 ? tail.slice(word.index + 1) : tail.replace(/^[\udc00-\udfff]/, '')
}
