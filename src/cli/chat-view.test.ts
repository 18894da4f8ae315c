import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TurnEvents } from '#chat/turn-events.ts'
import { quietHost } from '../../test/support/cli-run.ts'
import { ChatView } from './chat-view.ts'

function viewAt(columns: number | undefined, isJson = false) {
  const said = { out: '', err: '' }
  const view = new ChatView(
    {
      ...quietHost(),
      url: undefined,
      token: undefined,
      columns,
      out: (text) => {
        said.out += text
      },
      err: (text) => {
        said.err += text
      },
    },
    isJson,
  )
  let position = 0
  const tell = <Type extends keyof TurnEvents>(type: Type, data: Partial<TurnEvents[Type]>) => {
    view.show({ id: `turn_1.${position}`, turn: 'turn_1', type, data: JSON.stringify(data) })
    position += 1
  }
  return { view, said, tell }
}

test('the answer is stdout and nothing else is; what happens has lines of its own', () => {
  const { view, said, tell } = viewAt(undefined)
  tell('token', { text: 'Let me see' })
  tell('call', { action: 'calculate', arguments: '{"expression":\n"6*7"}' })
  tell('run', { action: 'calculate', status: 'running' })
  tell('run', { action: 'calculate', status: 'retrying' })
  tell('run', { action: 'calculate', status: 'succeeded', output: '42' })
  tell('notice', { code: 'overloaded', message: 'Slow.' })
  tell('token', { text: 'It is 42.\n' })
  view.end()
  assert.equal(said.out, 'Let me see\nIt is 42.\n')
  assert.deepEqual(said.err.split('\n'), [
    '> calculate {"expression": "6*7"}',
    '< calculate is tried again',
    '< calculate succeeded: 42',
    '(Slow.)',
    '',
  ])
})

test('a seam within a sentence does not tear it, and is told behind it', () => {
  const { view, said, tell } = viewAt(80)
  tell('token', { text: 'A sen' })
  tell('segment', { model: 'backup', reason: 'cut_off' })
  tell('token', { text: 'tence.' })
  tell('turn.completed', { finish: 'length' })
  view.end()
  assert.equal(said.out, 'A sentence.\n')
  assert.equal(said.err, '(continued by backup: cut off)\n(The model reached its greatest length.)\n')
})

test('what starts over says so before it does', () => {
  const { view, said, tell } = viewAt(80)
  tell('token', { text: 'Never' })
  tell('segment', { model: 'backup', reason: 'stalled', reset: true })
  tell('token', { text: 'A new start.' })
  view.end()
  assert.equal(said.out, 'Never\nA new start.\n')
  assert.equal(said.err, '(started over by backup: stalled)\n')
})

test('of a snapshot only what is new is written, unless the answer became another', () => {
  const { view, said, tell } = viewAt(80)
  tell('token', { text: 'one ' })
  tell('snapshot', { text: 'one two ', at: 7 })
  tell('token', { text: 'three' })
  assert.equal(said.out, 'one two three')
  tell('snapshot', { text: 'another', at: 9 })
  view.end()
  assert.equal(said.out, 'one two three\nanother\n')
})

test('a terminal gets no controls from a model, a pipe gets what was said', () => {
  for (const columns of [80, undefined]) {
    const { view, said, tell } = viewAt(columns)
    tell('token', { text: '\u001b[2Jhi' })
    tell('call', { action: 'delete', arguments: '\u001b[8m' })
    view.end()
    assert.equal(said.out, columns ? '\\u001b[2Jhi\n' : '\u001b[2Jhi\n')
    assert.equal(said.err, '> delete \\u001b[8m\n')
  }
})

test('a lost line is told without a mark in the answer', () => {
  for (const columns of [80, undefined]) {
    const { view, said, tell } = viewAt(columns)
    tell('token', { text: 'A sen' })
    view.lost()
    tell('token', { text: 'tence.' })
    assert.deepEqual(said, { out: 'A sentence.', err: `${columns ? '\n' : ''}Reconnecting; nothing is lost.\n` })
  }
})

test('a question that waits is left on its line by what comes', () => {
  const { view, said, tell } = viewAt(80)
  view.asking(true)
  tell('token', { text: 'Meanwhile.' })
  view.end()
  assert.deepEqual(said, { out: 'Meanwhile.\n', err: '\n' })
  view.asking(true)
  view.lost()
  assert.equal(said.err, '\n\nReconnecting; nothing is lost.\n')
})

test('machines get each event as a line', () => {
  const { said, tell } = viewAt(undefined, true)
  tell('token', { text: 'hi' })
  assert.deepEqual(JSON.parse(said.out), { id: 'turn_1.0', event: 'token', data: { text: 'hi' } })
})
