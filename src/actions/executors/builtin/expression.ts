import { CorrectableError } from '../executor.ts'

export const MAX_EXPRESSION_LENGTH = 500
export const MAX_EXPRESSION_DEPTH = 50

const CONSTANTS: ReadonlyMap<string, number> = new Map([
  ['pi', Math.PI],
  ['e', Math.E],
])
const UNARY: ReadonlyMap<string, (value: number) => number> = new Map([
  ['sqrt', Math.sqrt],
  ['abs', Math.abs],
  ['floor', Math.floor],
  ['ceil', Math.ceil],
  // Halves away from zero, as people do.
  ['round', (value: number) => Math.sign(value) * Math.round(Math.abs(value))],
])
const VARIADIC: ReadonlyMap<string, (...values: number[]) => number> = new Map([
  ['min', Math.min],
  ['max', Math.max],
])
const TOKEN = /\s*(?:(?<number>(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)|(?<name>[a-z]+)|(?<symbol>\S))/iuy

interface Token {
  kind: 'number' | 'name' | 'symbol' | 'end'
  text: string
  /** From 1. */
  position: number
}

/**
 * The value of an arithmetic expression in double precision; throws `CorrectableError`. By recursive descent:
 *
 *     sum     = product { ("+" | "-") product }
 *     product = signed { ("*" | "/" | "%") signed }
 *     signed  = ("-" | "+") signed | power
 *     power   = atom [ "^" signed ]                      right to left, before a sign: -2^2 is -4
 *     atom    = number | constant | function "(" sum { "," sum } ")" | "(" sum ")"
 */
export function evaluate(expression: string): number {
  if (expression.length > MAX_EXPRESSION_LENGTH) {
    throw new CorrectableError(`The expression is longer than ${MAX_EXPRESSION_LENGTH} characters; split it.`)
  }
  const tokens = tokenize(expression)
  let next = 0
  let depth = -1

  const peek = () => tokens[next] ?? { kind: 'end', text: '', position: expression.length + 1 }
  const accept = (...symbols: string[]) => {
    const { kind, text } = peek()
    if (kind !== 'symbol' || !symbols.includes(text)) return undefined
    next += 1
    return text
  }
  const expect = (symbol: string) => {
    if (!accept(symbol)) throw unexpected(peek(), `"${symbol}"`)
  }

  function sum(): number {
    let value = product()
    for (let sign = accept('+', '-'); sign; sign = accept('+', '-')) {
      const right = product()
      value = finite(sign === '+' ? value + right : value - right)
    }
    return value
  }

  function product(): number {
    let value = signed()
    for (let sign = accept('*', '/', '%'); sign; sign = accept('*', '/', '%')) {
      const right = signed()
      if (sign !== '*' && right === 0) throw divisionByZero()
      value = finite(sign === '*' ? value * right : sign === '/' ? value / right : value % right)
    }
    return value
  }

  function signed(): number {
    depth += 1
    if (depth > MAX_EXPRESSION_DEPTH) {
      throw new CorrectableError(`The expression is nested deeper than ${MAX_EXPRESSION_DEPTH} levels; split it.`)
    }
    const sign = accept('-', '+')
    const value = sign === '-' ? -signed() : sign === '+' ? signed() : power()
    depth -= 1
    return value
  }

  function power(): number {
    const base = atom()
    if (!accept('^')) return base
    const exponent = signed()
    if (base === 0 && exponent < 0) throw divisionByZero()
    return finite(base ** exponent)
  }

  function atom(): number {
    const token = peek()
    if (accept('(')) {
      const value = sum()
      expect(')')
      return value
    }
    next += 1
    if (token.kind === 'number') return finite(Number(token.text))
    if (token.kind === 'name') return CONSTANTS.get(token.text) ?? call(token)
    throw unexpected(token, 'a number')
  }

  function call(name: Token): number {
    const unary = UNARY.get(name.text)
    const variadic = VARIADIC.get(name.text)
    if (!unary && !variadic) throw unknownName(name)
    expect('(')
    const values = [sum()]
    while (variadic && accept(',')) values.push(sum())
    expect(')')
    return finite(variadic ? variadic(...values) : (unary?.(values[0] ?? 0) ?? 0))
  }

  const value = sum()
  if (peek().kind !== 'end') throw unexpected(peek(), 'an operator')
  return value
}

function tokenize(expression: string): Token[] {
  const tokens: Token[] = []
  TOKEN.lastIndex = 0
  for (let match = TOKEN.exec(expression); match; match = TOKEN.exec(expression)) {
    const { number, name, symbol } = match.groups ?? {}
    const text = number ?? name?.toLowerCase() ?? symbol ?? ''
    const kind = number !== undefined ? 'number' : name !== undefined ? 'name' : 'symbol'
    tokens.push({ kind, text, position: TOKEN.lastIndex - text.length + 1 })
  }
  return tokens
}

function divisionByZero(): CorrectableError {
  return new CorrectableError('The expression divides by zero.')
}

function finite(value: number): number {
  if (Number.isNaN(value)) throw new CorrectableError('The expression has no real result.')
  if (!Number.isFinite(value)) throw new CorrectableError('The result is too large.')
  return value
}

function unexpected({ kind, text, position }: Token, wanted: string): CorrectableError {
  const found = kind === 'end' ? 'the expression ends' : `there is ${JSON.stringify(text)}`
  return new CorrectableError(`At character ${position} ${found} where ${wanted} belongs.`)
}

function unknownName({ text, position }: Token): CorrectableError {
  const known = [...CONSTANTS.keys(), ...UNARY.keys(), ...VARIADIC.keys()].join(', ')
  return new CorrectableError(`At character ${position}: "${text}" is not known; known are ${known}.`)
}
