/** What the mock upstream and the load generator agree on. It travels in the user message, so it works through any server. */
export interface Plan {
  /** Names the request when the upstream tells what was aborted. */
  id: string
  tokens: number
  /** Tokens per second; 0: as fast as the upstream's loop turns. */
  rate: number
  /** Tokens per write. */
  burst: number
  /** Before the first token. */
  delayMs: number
}

export function asMessage(plan: Plan): string {
  return new URLSearchParams(Object.entries(plan).map(([name, value]) => [name, String(value)])).toString()
}

export function planOf(message: string): Plan {
  const fields = new URLSearchParams(message)
  const number = (name: keyof Plan) => Number(fields.get(name) ?? 0)
  return {
    id: fields.get('id') ?? '',
    tokens: number('tokens'),
    rate: number('rate'),
    burst: Math.max(1, number('burst')),
    delayMs: number('delayMs'),
  }
}

/** Begins each token and stands nowhere else in a stream, whatever its dialect: tokens are counted without parsing. */
export const TOKEN_MARK = '~'

/** What JSON escapes, what takes several bytes, and most often nothing of the kind. */
const ENDINGS = [' ', ' ', ' "so"', ' ', ' ', ' ü\n', ' ', ' ', ' 東京', ' ', ' ', ' 🦜', ' \\t{"a":1}', ' ', ' ', '\t']

export function tokenText(index: number): string {
  return `${TOKEN_MARK}${index.toString(36)}${ENDINGS[index % ENDINGS.length]}`
}

export function answerText(tokens: number): string {
  return Array.from({ length: tokens }, (_, index) => tokenText(index)).join('')
}

/** Which tokens a text has, in its order. */
export function tokensIn(text: string): number[] {
  return Array.from(text.matchAll(/~([0-9a-z]+)/g), ([, digits = '']) => Number.parseInt(digits, 36))
}

/** The same in every process of this machine. */
export function machineMs(): number {
  const [seconds, nanoseconds] = process.hrtime()
  return seconds * 1e3 + nanoseconds / 1e6
}
