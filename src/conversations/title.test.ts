import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { checkTitle, titleFrom } from './title.ts'

const seed = Date.now() % 1_000_000

describe('a title as given', () => {
  it('has 1 to 200 characters, whatever their size', () => {
    for (const title of ['x', 'x'.repeat(200), '🦜'.repeat(200), ' ä ']) assert.equal(checkTitle(title), title)
    for (const title of ['', ' ', '\u2003', 'x'.repeat(201), '🦜'.repeat(201), 'x'.repeat(1_000_000)]) {
      assert.throws(() => checkTitle(title), { code: 'invalid_request', param: 'title' })
    }
  })

  it('is one line of whole characters', () => {
    for (const title of ['a\nb', 'a\tb', 'a\u0000', 'a\u007f', 'a\u0085', 'a\ud800', '\udc00a']) {
      assert.throws(() => checkTitle(title), { code: 'invalid_request', param: 'title' })
    }
  })
})

describe('a title from a message', () => {
  it('is the message when that is short, on one line', () => {
    assert.equal(titleFrom('  What is\n\n the \u0000 time? '), 'What is the time?')
    assert.equal(titleFrom('x'.repeat(80)), 'x'.repeat(80))
    assert.equal(titleFrom(' \n\u0007 '), '')
  })

  it('is cut between words, or within one that is too long', () => {
    assert.equal(titleFrom(`${'word '.repeat(15)}unbelievable`), `${'word '.repeat(14)}word…`)
    assert.equal(titleFrom('🦜'.repeat(81)), `${'🦜'.repeat(79)}…`)
    assert.equal(titleFrom(`a ${'x'.repeat(100)}`), `a ${'x'.repeat(77)}…`)
  })

  it(`is always one that may be given, or nothing (seed ${seed})`, () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (message) => {
        const title = titleFrom(`${message}\ud83e`)
        assert.ok(title === '' || checkTitle(title) === title)
        assert.ok(Array.from(title).length <= 80)
      }),
      { seed, numRuns: 300 },
    )
  })
})
