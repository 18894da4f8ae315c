import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ChatMessage } from './answer.ts'
import { continuationMessages, continuationParameters, hasTokenLimit, joinOutput } from './continuation.ts'

const asked: ChatMessage[] = [{ role: 'user', content: 'Hello?' }]

test('prefill ends the prompt with the visible text, without the white space that some providers refuse', () => {
  assert.deepEqual(continuationMessages('prefill', asked, 'Hello wor\n '), [
    ...asked,
    { role: 'assistant', content: 'Hello wor' },
  ])
})

test('instructed quotes the last words, from a word on', () => {
  const visible = `${'one two three '.repeat(20)}and then`
  const messages = continuationMessages('instructed', asked, visible)
  assert.deepEqual(messages[1], { role: 'assistant', content: visible })
  const instruction = String(messages[2]?.content)
  assert.equal(messages[2]?.role, 'user')
  const quoted = instruction.slice(instruction.lastIndexOf('\n\n') + 2)
  assert.match(quoted, /^(one|two|three) /)
  assert.ok(visible.endsWith(quoted))
  assert.ok(quoted.length > 60 && quoted.length <= 80)
})

test('a tail without spaces does not begin with half a character', () => {
  const messages = continuationMessages('instructed', asked, `${'🙂'.repeat(60)}x`)
  assert.equal(String(messages[2]?.content).isWellFormed(), true)
  assert.ok(String(messages[2]?.content).endsWith(`${'🙂'.repeat(39)}x`))
})

test('restart, and white space alone, leave the prompt as it is', () => {
  assert.equal(continuationMessages('restart', asked, 'Hello'), asked)
  assert.equal(continuationMessages('prefill', asked, ' \n'), asked)
  assert.equal(continuationMessages('instructed', asked, ' \n'), asked)
})

test('half a character at the end of the visible text does not make the request invalid', () => {
  assert.equal(continuationMessages('prefill', asked, 'smile \ud83d')[1]?.content, 'smile \ufffd')
})

test('a limit of tokens holds over all models together, but for a restart', () => {
  const parameters = { max_tokens: 100, temperature: 1 }
  assert.equal(hasTokenLimit(parameters), true)
  assert.equal(hasTokenLimit({ max_tokens: null }), false)
  assert.deepEqual(continuationParameters('prefill', parameters, 40), { max_tokens: 60, temperature: 1 })
  assert.deepEqual(continuationParameters('prefill', { max_completion_tokens: 10 }, 40), { max_completion_tokens: 1 })
  assert.equal(continuationParameters('instructed', parameters, 40).max_tokens, 92)
  assert.equal(continuationParameters('restart', parameters, 40), parameters)
})

test('a restart resets with the first text, or at the end', () => {
  assert.equal(joinOutput('restart', 'Hello', '', false), undefined)
  assert.deepEqual(joinOutput('restart', 'Hello', 'H', false), { reset: true })
  assert.deepEqual(joinOutput('restart', 'Hello', '', true), { reset: true })
})
