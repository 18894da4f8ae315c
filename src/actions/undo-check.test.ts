import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ActionSpec } from '#config/action-spec.ts'
import { checkUndo } from './undo-check.ts'

const parameters = { type: 'object', additionalProperties: false, properties: { title: { type: 'string' } } }
const closing = {
  type: 'object',
  required: ['ticket'],
  additionalProperties: false,
  properties: { ticket: { type: 'integer' } },
}
const open: ActionSpec = { description: 'Opens', builtin: 'open', parameters }
const close: ActionSpec = { description: 'Closes', builtin: 'close', parameters: closing }

function faultsOf(undo: ActionSpec['undo'], change: { open?: Partial<ActionSpec>; close?: Partial<ActionSpec> } = {}) {
  const spec = { ...open, ...change.open, undo } as ActionSpec
  const actions = { open: spec, close: { ...close, ...change.close } }
  const document = { description: '', models: {}, routes: {}, specialists: {}, actions }
  return checkUndo(document, 'open', spec).map(({ path, message }) => `${path.join('/')}: ${message}`)
}
const place = 'actions/open/undo'

test('an undo that gives the other action what it needs has no faults', () => {
  assert.deepEqual(faultsOf(undefined), [])
  for (const ticket of ['{result.ticket}', '{result}', '{arguments.title}', 7]) {
    assert.deepEqual(faultsOf({ action: 'close', arguments: { ticket } }), [], String(ticket))
  }
})

test('arguments that are not taken, missing, or from nowhere are named with their place', () => {
  assert.deepEqual(faultsOf({ action: 'close', arguments: { ticket: 1, why: 'x' } }), [
    `${place}/arguments/why: is no argument of close; it takes: ticket`,
  ])
  assert.deepEqual(faultsOf({ action: 'close', arguments: {} }), [
    `${place}/arguments: has no "ticket": close needs it`,
  ])
  assert.deepEqual(faultsOf({ action: 'close', arguments: { ticket: ['{ticket}', '{arguments.size}'] } }), [
    `${place}/arguments/ticket/0: the placeholder {ticket} has to begin with "result." or "arguments."`,
    `${place}/arguments/ticket/1: the placeholder {arguments.size} names no argument of this action`,
  ])
})

test('constants are held against the whole schema; an open schema takes other names', () => {
  assert.deepEqual(faultsOf({ action: 'close', arguments: { ticket: 'seven' } }), [
    `${place}/arguments: close: The arguments do not fit: ticket must be a whole number.`,
  ])
  const loose = { close: { parameters: { type: 'object' } } }
  assert.deepEqual(faultsOf({ action: 'close', arguments: { any: 1 } }, loose), [])
  const broken = { close: { parameters: { type: 'object', properties: { ticket: { type: 'intger' } } } } }
  assert.deepEqual(faultsOf({ action: 'close', arguments: { ticket: 1 } }, broken), [])
})

test('an action is not undone by itself, nor one that only reads; an unknown one is told of elsewhere', () => {
  assert.deepEqual(faultsOf({ action: 'open', arguments: {} }), [`${place}/action: must be another action`])
  const reads = { open: { access: 'read' as const } }
  assert.deepEqual(faultsOf({ action: 'close', arguments: { ticket: 1 } }, reads), [
    `${place}: is of an action that only reads: there is nothing to undo`,
  ])
  assert.deepEqual(faultsOf({ action: 'gone', arguments: {} }), [])
})
