import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Message } from '#conversations/conversations.ts'
import { historyOf, joinUserMessages } from './prompt.ts'

function message(turn: string, role: Message['role'], content: string, more: Partial<Message> = {}): Message {
  return { id: `msg_${turn}_${role}`, turn, role, content, at: 0, ...more }
}

const unanswered = { complete: false }

test('a turn that failed before it said anything is left out; what it was to report is not', () => {
  const messages = [
    message('1', 'user', 'first'),
    message('1', 'assistant', '', unanswered),
    message('2', 'user', 'late results', { kind: 'follow-up' }),
    message('2', 'assistant', '', unanswered),
    message('3', 'user', 'third'),
    message('3', 'assistant', 'half an ', unanswered),
  ]
  assert.deepEqual(historyOf(messages), [
    { role: 'user', content: 'late results' },
    { role: 'user', content: 'third' },
    { role: 'assistant', content: 'half an ' },
  ])
})

test('what a turn has called and heard stays, though it failed before it said what came of it', () => {
  const call = { id: 'call_1', name: 'act', arguments: '{}' }
  const messages = [
    message('1', 'user', 'act'),
    message('1', 'assistant', '', { toolCalls: [call] }),
    message('1', 'tool', '"done"', { callId: 'call_1' }),
    message('1', 'assistant', '', unanswered),
    message('2', 'user', 'and?'),
    message('2', 'assistant', 'It is done.'),
  ]
  assert.deepEqual(historyOf(messages), [
    { role: 'user', content: 'act' },
    {
      role: 'assistant',
      content: null,
      tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'act', arguments: '{}' } }],
    },
    { role: 'tool', tool_call_id: 'call_1', content: '"done"' },
    { role: 'assistant', content: 'The answer broke off here.' },
    { role: 'user', content: 'and?' },
    { role: 'assistant', content: 'It is done.' },
  ])
})

test("the user's messages in a row are joined, all others stand alone", () => {
  const said = (role: 'user' | 'assistant' | 'system', content: string) => ({ role, content })
  assert.deepEqual(
    joinUserMessages([
      said('system', 'a'),
      said('user', 'b'),
      said('user', 'c'),
      said('user', 'd'),
      said('assistant', 'e'),
      said('assistant', 'f'),
      said('user', 'g'),
    ]),
    [
      said('system', 'a'),
      said('user', 'b\n\nc\n\nd'),
      said('assistant', 'e'),
      said('assistant', 'f'),
      said('user', 'g'),
    ],
  )
})
