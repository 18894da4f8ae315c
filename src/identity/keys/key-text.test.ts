import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newId } from '#ids.ts'
import { digestOf, looksLikeKey, newKeyText, readKeyText } from './key-text.ts'

test('a text names its key, and no two are alike', () => {
  const id = newId('key')
  const texts = Array.from({ length: 100 }, () => newKeyText(id))
  assert.equal(new Set(texts).size, 100)
  for (const text of texts) {
    assert.ok(looksLikeKey(text))
    assert.match(text, /^parley_[0-9a-f]{32}_[0-9a-f]{72}$/)
    assert.deepEqual(readKeyText(text), { id, digest: digestOf(text) })
  }
  assert.equal(digestOf(texts[0] ?? '').length, 32)
})

test('what is cut off, longer or differs in one character is told at once', () => {
  const text = newKeyText(newId('key'))
  for (let at = 0; at < text.length; at++) {
    const other = text[at] === '0' ? '1' : '0'
    assert.equal(readKeyText(text.slice(0, at) + other + text.slice(at + 1)), undefined, `character ${at}`)
    assert.equal(readKeyText(text.slice(0, at)), undefined, `the first ${at}`)
  }
  for (const wrong of [`${text}0`, ` ${text}`, `${text}\n`, text.toUpperCase(), text.slice(7), '', 'parley_']) {
    assert.equal(readKeyText(wrong), undefined)
  }
})

test('two neighbours that changed places are told, too', () => {
  const text = newKeyText(newId('key'))
  let swapped = 0
  for (let at = 7; at < text.length - 1; at++) {
    const [one = '', other = ''] = [text[at], text[at + 1]]
    if (one === other) continue
    swapped += 1
    assert.equal(readKeyText(text.slice(0, at) + other + one + text.slice(at + 2)), undefined)
  }
  assert.ok(swapped > 50)
})

test('what does not begin like a key was not meant as one', () => {
  for (const text of ['', 'parley', 'Parley_x', 'eyJhbGciOiJSUzI1NiJ9.e30.x']) assert.ok(!looksLikeKey(text))
})
