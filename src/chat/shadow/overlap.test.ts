import assert from 'node:assert/strict'
import { test } from 'node:test'
import { overlapOf } from './overlap.ts'

test('answers overlap by the words that both have', () => {
  assert.equal(overlapOf('It is noon.', 'it IS... noon!'), 1)
  assert.equal(overlapOf('It is noon.', 'It is midnight.'), 0.5)
  assert.equal(overlapOf('Ja.', 'Nein.'), 0)
  assert.equal(overlapOf('πάντα ῥεῖ', 'Πάντα ῥεῖ'), 1)
})

test('where nothing is said there is nothing to compare', () => {
  assert.equal(overlapOf('', 'Noon.'), null)
  assert.equal(overlapOf('Noon.', ' …!'), null)
})

test('long answers are compared by their beginning', () => {
  const beginning = 'a '.repeat(10_000)
  assert.equal(overlapOf(`${beginning}b`, beginning), 1)
})
