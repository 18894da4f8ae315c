import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Candidate, ChatMessage } from '#models/answer.ts'
import { fitToWindow, type TokenCounter } from './compaction.ts'

/** A token a character, so that lengths can be read off. */
const counter: TokenCounter = {
  bound: (messages) => messages.reduce((sum, { content }) => sum + String(content).length * 2, 0),
  count: async (messages) => messages.reduce((sum, { content }) => sum + String(content).length, 0),
}
const NOTE_TOKENS = 106

function candidate(room: number): Candidate {
  const price = { input: 1, output: 1 }
  return {
    name: 'm',
    spec: { provider: 'offline', contextWindow: room + 10, maxOutput: 10, continuation: 'restart', price },
  }
}

const message = (role: ChatMessage['role'], content: string): ChatMessage => ({ role, content })
const history = [
  message('system', 'x'.repeat(10)),
  ...Array.from({ length: 10 }, (_, turn) => [
    message('user', `${turn}`.repeat(50)),
    message('assistant', `${turn}`.repeat(50)),
  ]).flat(),
  message('user', 'u'.repeat(20)),
]

test('what fits is left alone', async () => {
  assert.deepEqual(await fitToWindow(history, candidate(1030), 0, counter), { messages: history, omitted: 0 })
})

test('one token less leaves out the oldest turns, and says so in their place', async () => {
  const fitted = await fitToWindow(history, candidate(1029), 0, counter)
  assert.ok(fitted)
  assert.equal(fitted.omitted % 2, 0)
  assert.ok(fitted.omitted >= 2)
  assert.equal(fitted.messages[0], history[0])
  assert.equal(fitted.messages[1]?.role, 'system')
  assert.equal(fitted.messages[2]?.role, 'user')
  assert.deepEqual(fitted.messages.slice(2), history.slice(1 + fitted.omitted))
  assert.ok((await counter.count(fitted.messages)) <= 1029)
})

test('the last message and what follows it always stay', async () => {
  const running = [...history, message('assistant', 'c'.repeat(5)), message('tool', 'r'.repeat(5))]
  const fitted = await fitToWindow(running, candidate(10 + NOTE_TOKENS + 30), 0, counter)
  assert.deepEqual(fitted?.messages.slice(2), running.slice(-3))
  assert.equal(fitted?.omitted, 20)
})

test('when even that is too long there is no fit', async () => {
  assert.equal(await fitToWindow(history, candidate(10 + NOTE_TOKENS + 19), 0, counter), undefined)
  assert.ok(await fitToWindow(history, candidate(10 + NOTE_TOKENS + 20), 0, counter))
  assert.equal(await fitToWindow([message('user', 'a'.repeat(50))], candidate(49), 0, counter), undefined)
})

test('the tools take their part of the window', async () => {
  assert.equal((await fitToWindow(history, candidate(1030), 0, counter))?.omitted, 0)
  assert.equal((await fitToWindow(history, candidate(1030), 1, counter))?.omitted, 4)
})
