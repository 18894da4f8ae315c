import assert from 'node:assert/strict'
import { test } from 'node:test'
import { undoArguments } from './undo-arguments.ts'

const done = {
  result: { ticket: 7, lines: [{ id: 'a' }, { id: 'b' }], none: null },
  arguments: { title: 'Printer', nested: { deep: [1, 2] } },
}

test('paths lead into the result and the arguments; alone they keep the type, among words they become text', () => {
  const template = {
    ticket: '{result.ticket}',
    line: '{result.lines.1.id}',
    deep: '{arguments.nested.deep}',
    all: '{arguments}',
    note: 'Ticket {result.ticket}: {arguments.title}',
    constant: 'closed',
    number: 5,
    listed: ['{result.ticket}', { of: '{arguments.title}' }],
  }
  assert.deepEqual(undoArguments(template, done), {
    ticket: 7,
    line: 'b',
    deep: [1, 2],
    all: done.arguments,
    note: 'Ticket 7: Printer',
    constant: 'closed',
    number: 5,
    listed: [7, { of: 'Printer' }],
  })
})

test('what is not there is left out, and what every object inherits is not there', () => {
  const template = {
    gone: '{result.gone}',
    below: '{result.ticket.id}',
    none: '{result.none}',
    inherited: '{result.constructor}',
    proto: '{arguments.__proto__}',
    note: 'about {result.gone}',
  }
  assert.deepEqual(undoArguments(template, done), { none: null })
  assert.deepEqual(undoArguments({ length: '{result.length}' }, { ...done, result: null }), {})
})
