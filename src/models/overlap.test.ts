import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { joinInstructed, joinPrefill } from './overlap.ts'

interface Shown {
  text: string
  reset: boolean
  /** The longest output that was held back. */
  heldLength: number
}

/** What a reader ends up with when the output comes in these pieces. */
function shown(visible: string, pieces: readonly string[], join = joinInstructed): Shown {
  let output = ''
  let heldLength = 0
  for (const [index, piece] of [...pieces, ''].entries()) {
    output += piece
    const joined = join(visible, output, index === pieces.length)
    if (joined) {
      const all = pieces.join('')
      return joined.reset
        ? { text: all, reset: true, heldLength }
        : { text: visible + all.slice(joined.skip), reset: false, heldLength }
    }
    heldLength = output.length
  }
  throw new Error('What has ended was not decided.')
}

function examples(title: string, cases: readonly (readonly [visible: string, output: string, expected: string])[]) {
  test(title, () => {
    for (const [visible, output, expected] of cases) {
      for (const pieces of [[output], [...output], output.split(/(?<= )/)]) {
        const { text, reset } = shown(visible, pieces)
        assert.deepEqual({ text, reset }, { text: expected, reset: false }, JSON.stringify({ visible, pieces }))
      }
    }
  })
}

examples('what goes on exactly is left as it is', [
  ['The quick bro', 'wn fox.', 'The quick brown fox.'],
  ['The quick', ' brown fox.', 'The quick brown fox.'],
  ['Hello', '', 'Hello'],
  ['1', '1 apples', '11 apples'],
  ['That is al', 'l of it', 'That is all of it'],
  ['an e', 'el', 'an eel'],
  ['  }\n', '}\n', '  }\n}\n'],
  ['| --- |', ' --- |\n', '| --- | --- |\n'],
  ['wait.', '..', 'wait...'],
  ['你好', '好吗', '你好好吗'],
  [
    '- Write the documentation for module A\n',
    '- Write the documentation for module B\n',
    '- Write the documentation for module A\n- Write the documentation for module B\n',
  ],
])

examples('lines, calls and sentences that begin as the first one did are no fresh start', [
  ['console.log(1);', '\nconsole.log(2);', 'console.log(1);\nconsole.log(2);'],
  ['I think so, and ', 'I think it is.', 'I think so, and I think it is.'],
  ['There are few options. ', 'There are few others.', 'There are few options. There are few others.'],
  ['| name | value |\n', '| name | price |\n', '| name | value |\n| name | price |\n'],
])

examples('what was said already is not said again', [
  ['The quick brown', 'quick brown fox.', 'The quick brown fox.'],
  ['The quick brown', 'brown fox.', 'The quick brown fox.'],
  ['The quick brown ', 'quick brown fox.', 'The quick brown fox.'],
  ['The quick brown', '\n\nquick brown fox.', 'The quick brown fox.'],
  ['one two three', 'one two three four', 'one two three four'],
  ['It conti', 'continues to', 'It continues to'],
  ['in the', 'the house', 'in the house'],
  ['Done.', 'Done.', 'Done.'],
  ['xab ab', 'ab abc', 'xab ab abc'],
  ['今天天气很好，我们去公园', '天气很好，我们去公园散步', '今天天气很好，我们去公园散步'],
  ['smile 🙂 and', 'smile 🙂 and wave 👋', 'smile 🙂 and wave 👋'],
])

examples('white space at the seam counts once', [
  ['Hello ', ' world', 'Hello world'],
  ['Hello ', 'world', 'Hello world'],
  ['One.\n\n', '\n\nTwo.', 'One.\n\nTwo.'],
  ['One.\n\n', 'One.\n\nTwo.', 'One.\n\nTwo.'],
  ['One.\n\n', '\n', 'One.\n\n'],
  ['   ', '  x', '   x'],
])

test('an output that begins as the visible text began, and goes elsewhere, is a fresh start', () => {
  const cases = [
    ['The capital of France is', 'The capital of Italy is Rome.'],
    ['Paris is the capital of the', 'Paris is the capital'],
    ['Grüße, 世界! It goes on 🙂', 'Grüße, 世界! It goes its way.'],
    ['You said: the weather', 'You said: once more.'],
    ['Sure! Here is the whole list: one.', 'Sure! Here is the whole table.'],
    [
      '## Plan\n\nFirst we do this, then we do that. ',
      '## Plan\n\nFirst we do this, then we do something else entirely.',
    ],
  ] as const
  for (const [visible, output] of cases) {
    for (const pieces of [[output], [...output]]) {
      assert.deepEqual({ ...shown(visible, pieces), heldLength: 0 }, { text: output, reset: true, heldLength: 0 })
    }
  }
})

test('a long text that is said all over again is not held back to its end', () => {
  const visible = Array.from({ length: 200 }, (_, index) => `word${index}`).join(' ')
  const again = shown(visible, [...`${visible} more`])
  assert.equal(again.reset, true)
  assert.equal(again.text, `${visible} more`)
  assert.ok(again.heldLength <= 400)
  const short = visible.slice(0, 399)
  assert.deepEqual(
    { ...shown(short, [...`${short} more`]), heldLength: 0 },
    { text: `${short} more`, reset: false, heldLength: 0 },
  )
})

test('nothing but white space is not held back for ever', () => {
  const joined = joinInstructed('Hello', ' '.repeat(400), false)
  assert.deepEqual(joined, { reset: false, skip: 0 })
  assert.equal(joinInstructed('Hello', ' '.repeat(399), false), undefined)
})

/** Words that are all different, so that where a repetition ends is not a matter of taste. */
const distinctText = fc
  .array(fc.constantFrom('alpha', 'bêta', '伽馬', 'δ🙂', '"q"', 'line\n', 'x'), { minLength: 4, maxLength: 30 })
  .map((words) => words.map((word, index) => `n${index}${word}`).join(' '))

const cuts = fc.array(fc.nat(), { maxLength: 20 })

/** The text in pieces, cut anywhere, within surrogate pairs too. */
function cutUp(text: string, at: readonly number[]): string[] {
  const places = [...new Set(at.map((place) => place % (text.length + 1)))].sort((a, b) => a - b)
  return [...places, text.length].map((end, index) => text.slice(places[index - 1] ?? 0, end))
}

test('property: whatever is repeated, the reader sees the text once', () => {
  fc.assert(
    fc.property(distinctText, fc.nat(), fc.nat(), cuts, (text, stop, back, at) => {
      const visible = text.slice(0, 1 + (stop % text.length))
      const starts = [...visible.matchAll(/(?<=^|\s)\S/gu)].map((match) => match.index)
      const from = starts[back % starts.length] ?? 0
      // A repetition this short could as well be the text itself.
      fc.pre(from === 0 || visible.slice(from).trimEnd().length >= 3)
      const { text: read, reset } = shown(visible, cutUp(text.slice(from), at))
      assert.equal(read, text)
      assert.equal(reset, false)
    }),
    { numRuns: 2000 },
  )
})

test('property: an exact continuation is shown as it is', () => {
  fc.assert(
    fc.property(distinctText, fc.nat(), cuts, (text, stop, at) => {
      const visible = text.slice(0, 1 + (stop % text.length))
      const { text: read, reset } = shown(visible, cutUp(text.slice(visible.length), at))
      assert.equal(read.replace(/\s+/g, ' '), text.replace(/\s+/g, ' '))
      assert.equal(reset, false)
    }),
    { numRuns: 2000 },
  )
})

test('property: of any output either all is shown after a reset, or all but white space and what was just said', () => {
  const anyText = fc.oneof(fc.string({ unit: 'binary' }), fc.stringMatching(/^[ab \n.]{0,30}$/))
  fc.assert(
    fc.property(anyText, anyText, cuts, (visible, output, at) => {
      const whole = shown(visible, [output])
      assert.deepEqual({ ...shown(visible, cutUp(output, at)), heldLength: 0 }, { ...whole, heldLength: 0 })
      if (whole.reset) return assert.equal(whole.text, output)
      assert.ok(whole.text.startsWith(visible))
      const skipped = output.slice(0, output.length - (whole.text.length - visible.length))
      assert.ok(visible.trimEnd().endsWith(skipped.trim()), JSON.stringify(skipped))
    }),
    { numRuns: 3000 },
  )
})

test('property: what is held back is never longer than the visible text and a little white space', () => {
  const anyText = fc.stringMatching(/^[ab \n.]{0,60}$/)
  fc.assert(
    fc.property(anyText, anyText, (visible, output) => {
      const { heldLength } = shown(visible, [...output])
      assert.ok(heldLength <= visible.length + output.length - output.trimStart().length)
    }),
    { numRuns: 2000 },
  )
})

test('property: a prefilled continuation loses nothing but the white space that it was not given', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary' }),
      fc.stringMatching(/^[ \n\t]{0,3}$/),
      fc.string(),
      cuts,
      (said, space, rest, at) => {
        const visible = said.trimEnd() + space
        assert.equal(shown(visible, cutUp(space + rest, at), joinPrefill).text, visible + rest)
      },
    ),
    { numRuns: 2000 },
  )
})
