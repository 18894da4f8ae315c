import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { jsonFaultAt } from './json-fault.ts'

const faults: [text: string, at: number][] = [
  ['', 0],
  ['   ', 3],
  ['{', 1],
  ['{"a":', 5],
  ['{"a":1,}', 7],
  ['[1,]', 3],
  ['[1 2]', 3],
  ['{"a" 1}', 5],
  ['{a:1}', 1],
  ["{'a':1}", 1],
  ['[1}', 2],
  ['{"a":1]', 6],
  ['1 2', 2],
  ['nul', 0],
  ['01', 1],
  ['[NaN]', 1],
  ['"a', 0],
  ['"a\nb"', 0],
  ['["\\x"]', 1],
  ['["\\u12g4"]', 1],
  ['{"a":1} //', 8],
  ['}', 0],
  [':', 0],
]

for (const [text, at] of faults) {
  test(`${JSON.stringify(text)} stops being JSON at ${at}`, () => {
    assert.equal(jsonFaultAt(text), at)
    assert.throws(() => JSON.parse(text), SyntaxError)
  })
}

test('says of any text what the parser says', () => {
  const piece = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"',
    '"a"',
    '\\',
    '1',
    '-',
    '.5',
    'e3',
    'true',
    'null',
    ' ',
    '\n',
    'ü',
  )
  const json = fc.json().chain((text) => fc.tuple(fc.constant(text), fc.nat(text.length), piece))
  const broken = json.map(([text, at, extra]) => text.slice(0, at) + extra + text.slice(at + 1))
  const texts = fc.oneof(
    fc.json(),
    broken,
    fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join('')),
  )
  fc.assert(
    fc.property(texts, (text) => {
      assert.equal(jsonFaultAt(text) === undefined, parses(text), text)
    }),
    { numRuns: 2000 },
  )
})

test('takes a body at its limit in its stride, however deep or long', () => {
  assert.equal(jsonFaultAt('['.repeat(1_048_576)), 1_048_576)
  assert.equal(jsonFaultAt(`"${'a'.repeat(1_048_575)}`), 0)
  assert.equal(jsonFaultAt(`"${'\\n'.repeat(524_287)}`), 0)
})

function parses(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
