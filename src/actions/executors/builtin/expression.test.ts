import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { CorrectableError } from '../executor.ts'
import { evaluate, MAX_EXPRESSION_DEPTH, MAX_EXPRESSION_LENGTH } from './expression.ts'

const values: Record<string, number> = {
  '1': 1,
  ' 1 + 2\n* 3 ': 7,
  '(1 + 2) * 3': 9,
  '10 - 4 - 3': 3,
  '100 / 10 / 5': 2,
  '7 % 4': 3,
  '-7 % 4': -3,
  '7.5 % 2': 1.5,
  '2 ^ 3 ^ 2': 512,
  '-2 ^ 2': -4,
  '(-2) ^ 2': 4,
  '2 ^ -1': 0.5,
  '2 * -3': -6,
  '--5': 5,
  '+5 - -5': 10,
  '+-5': -5,
  '.5 + 1.': 1.5,
  '1e3 + 2.5E-1': 1000.25,
  'sqrt(16)': 4,
  'abs(-3.5)': 3.5,
  'round(2.5)': 3,
  'round(-2.5)': -3,
  'floor(-2.5)': -3,
  'ceil(2.1)': 3,
  'min(3)': 3,
  'min(3, 1, 2)': 1,
  'max(3, 1 + 4, 2)': 5,
  PI: Math.PI,
  'Sqrt(e ^ 2)': Math.E,
  '2 * pi': 2 * Math.PI,
}

for (const [expression, value] of Object.entries(values)) {
  test(`${JSON.stringify(expression)} is ${value}`, () => assert.equal(evaluate(expression), value))
}

const refusals: Record<string, string> = {
  '': 'At character 1 the expression ends where a number belongs.',
  '   ': 'At character 4 the expression ends where a number belongs.',
  '1 +': 'At character 4 the expression ends where a number belongs.',
  '1 + * 2': 'At character 5 there is "*" where a number belongs.',
  '1 2': 'At character 3 there is "2" where an operator belongs.',
  '2 pi': 'At character 3 there is "pi" where an operator belongs.',
  '1,000': 'At character 2 there is "," where an operator belongs.',
  '(1': 'At character 3 the expression ends where ")" belongs.',
  '1)': 'At character 2 there is ")" where an operator belongs.',
  'sqrt 4': 'At character 6 there is "4" where "(" belongs.',
  'sqrt(1, 2)': 'At character 7 there is "," where ")" belongs.',
  'min()': 'At character 5 there is ")" where a number belongs.',
  '1 & 2': 'At character 3 there is "&" where an operator belongs.',
  '💶 5': 'At character 1 there is "💶" where a number belongs.',
  process: 'At character 1: "process" is not known; known are pi, e, sqrt, abs, floor, ceil, round, min, max.',
  'constructor(1)':
    'At character 1: "constructor" is not known; known are pi, e, sqrt, abs, floor, ceil, round, min, max.',
  '1 / 0': 'The expression divides by zero.',
  '1 % (2 - 2)': 'The expression divides by zero.',
  '0 ^ -1': 'The expression divides by zero.',
  'sqrt(-1)': 'The expression has no real result.',
  '(-8) ^ 0.5': 'The expression has no real result.',
  '10 ^ 400': 'The result is too large.',
  '1 / 10 ^ 400': 'The result is too large.',
  '1e999': 'The result is too large.',
}

for (const [expression, message] of Object.entries(refusals)) {
  test(`${JSON.stringify(expression)} is refused`, () => {
    assert.throws(() => evaluate(expression), { name: 'CorrectableError', message })
  })
}

test('an expression may have 500 characters, not 501', () => {
  const longest = `${'1+'.repeat(MAX_EXPRESSION_LENGTH / 2 - 1)}11`
  assert.equal(longest.length, 500)
  assert.equal(evaluate(longest), 260)
  assert.throws(() => evaluate(`${longest}1`), { message: /longer than 500 characters/ })
})

test('an expression may be nested 50 levels deep, not 51, whatever it is nested with', () => {
  const nests: ((levels: number) => string)[] = [
    (levels) => `${'('.repeat(levels)}1${')'.repeat(levels)}`,
    (levels) => `${'-'.repeat(levels)}1`,
    (levels) => `1${'^1'.repeat(levels)}`,
    (levels) => `${'abs('.repeat(levels)}1${')'.repeat(levels)}`,
  ]
  for (const nest of nests) {
    assert.equal(evaluate(nest(MAX_EXPRESSION_DEPTH)), 1)
    assert.throws(() => evaluate(nest(MAX_EXPRESSION_DEPTH + 1)), { message: /nested deeper than 50 levels/ })
  }
})

test('any text gives a finite number or a correctable error', (t) => {
  const seed = randomInt(2 ** 31)
  t.diagnostic(`seed ${seed}`)
  const pieces = fc.constantFrom(
    '1',
    '2.5',
    '0',
    '(',
    ')',
    '+',
    '-',
    '*',
    '/',
    '%',
    '^',
    ',',
    ' ',
    'e',
    'pi',
    'sqrt',
    'max',
    'x',
  )
  const texts = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.array(pieces).map((parts) => parts.join('')),
  )
  const property = fc.property(texts, (text) => {
    try {
      assert.ok(Number.isFinite(evaluate(text)))
    } catch (error) {
      assert.ok(error instanceof CorrectableError, String(error))
    }
  })
  fc.assert(property, { seed, numRuns: 3000 })
})

type Tree =
  | { kind: 'number'; value: number }
  | { kind: 'minus'; of: Tree }
  | { kind: 'call'; name: 'sqrt' | 'abs' | 'floor' | 'ceil' | 'min' | 'max'; of: Tree[] }
  | { kind: 'binary'; sign: '+' | '-' | '*' | '/' | '%' | '^'; left: Tree; right: Tree }

const { tree: trees } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 5, depthIdentifier: 'tree' },
    fc.record({
      kind: fc.constant('number' as const),
      value: fc.double({ min: 0, max: 1000, noNaN: true }).map(Math.abs),
    }),
    fc.record({ kind: fc.constant('number' as const), value: fc.nat(9) }),
    fc.record({
      kind: fc.constant('binary' as const),
      sign: fc.constantFrom('+' as const, '-' as const, '*' as const, '/' as const, '%' as const, '^' as const),
      left: tie('tree'),
      right: tie('tree'),
    }),
    fc.record({ kind: fc.constant('minus' as const), of: tie('tree') }),
    fc.record({
      kind: fc.constant('call' as const),
      name: fc.constantFrom('sqrt' as const, 'abs' as const, 'floor' as const, 'ceil' as const),
      of: fc.tuple(tie('tree')),
    }),
    fc.record({
      kind: fc.constant('call' as const),
      name: fc.constantFrom('min' as const, 'max' as const),
      of: fc.array(tie('tree'), { minLength: 1, maxLength: 3 }),
    }),
  ),
}))

/** The value by JavaScript's own operators; undefined as soon as any part has none. */
function reference(tree: Tree): number | undefined {
  const parts = tree.kind === 'binary' ? [tree.left, tree.right] : tree.kind === 'number' ? [] : [tree.of].flat()
  const known = parts.map(reference).filter((value) => value !== undefined)
  if (known.length < parts.length) return undefined
  const value = combined(tree, known)
  return Number.isFinite(value) ? value : undefined
}

function combined(tree: Tree, [a = 0, b = 0, ...more]: number[]): number {
  if (tree.kind === 'number') return tree.value
  if (tree.kind === 'minus') return -a
  if (tree.kind === 'call') return tree.of.length < 2 ? Math[tree.name](a) : Math[tree.name as 'min'](a, b, ...more)
  switch (tree.sign) {
    case '+':
      return a + b
    case '-':
      return a - b
    case '*':
      return a * b
    case '/':
      return a / b
    case '%':
      return a % b
    case '^':
      return a ** b
  }
}

/** As a person would write it: with no more parentheses than precedence asks for. */
function written(tree: Tree, level: number): string {
  const [own, text] = parts(tree)
  return own < level ? `(${text})` : text
}

function parts(tree: Tree): [level: number, text: string] {
  if (tree.kind === 'number') return [5, String(tree.value)]
  if (tree.kind === 'minus') return [3, `-${written(tree.of, 3)}`]
  if (tree.kind === 'call') return [5, `${tree.name}(${tree.of.map((each) => written(each, 1)).join(', ')})`]
  const { sign, left, right } = tree
  if (sign === '^') return [4, `${written(left, 5)}^${written(right, 3)}`]
  const level = sign === '+' || sign === '-' ? 1 : 2
  return [level, `${written(left, level)} ${sign} ${written(right, level + 1)}`]
}

test('whatever is written has the value that its tree has', (t) => {
  const seed = randomInt(2 ** 31)
  t.diagnostic(`seed ${seed}`)
  let compared = 0
  const property = fc.property(trees, (tree) => {
    const text = written(tree, 1)
    fc.pre(text.length <= MAX_EXPRESSION_LENGTH)
    const expected = reference(tree)
    if (expected === undefined) {
      assert.throws(() => evaluate(text), CorrectableError)
    } else {
      assert.equal(evaluate(text) + 0, expected + 0)
      compared += 1
    }
  })
  fc.assert(property, { seed, numRuns: 3000 })
  assert.ok(compared > 1000, `only ${compared} had a value`)
})
