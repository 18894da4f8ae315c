import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chatConfig } from '../../test/support/chat-config.ts'
import { foresee } from './foresee.ts'

const parameters = {
  type: 'object',
  additionalProperties: false,
  required: ['title'],
  properties: { title: { type: 'string' }, priority: { enum: ['low', 'high'] } },
}
const ticket = { description: 'Opens a ticket.', parameters, builtin: 'create_ticket' }
const given = chatConfig({})
const document = {
  ...given,
  specialists: {
    helper: { title: 'Helper', instructions: 'Help.', route: 'default', actions: ['open', 'guarded', 'reserved'] },
  },
  actions: {
    open: ticket,
    guarded: { ...ticket, approval: { when: { priority: ['high'] } } },
    reserved: { ...ticket, roles: ['Admin' as const] },
    unused: ticket,
  },
}
const principal = { tenant: 'home', id: 'ada', name: 'Ada', kind: 'user' as const, roles: [], scopes: [] }

function foreseen(action: string, args: unknown, more: { readOnly?: boolean; untrusted?: boolean } = {}) {
  const config = { name: 'v2', hash: 'h', document }
  const text = typeof args === 'string' ? args : JSON.stringify(args)
  const call = { config, specialist: 'helper', action, arguments: text, principal, readOnly: false, untrusted: false }
  return foresee({ ...call, ...more }, 0)
}

test('a call is judged as it would be: done, held for approval, or refused', () => {
  const title = { title: 'Printer' }
  assert.deepEqual(foreseen('open', title), { action: 'open', outcome: 'would-run', arguments: ['title'] })
  assert.equal(foreseen('guarded', { ...title, priority: 'low' }).outcome, 'would-run')
  assert.equal(foreseen('guarded', { ...title, priority: 'high' }).outcome, 'needs-approval')
  assert.equal(foreseen('open', title, { untrusted: true }).outcome, 'needs-approval')
  assert.equal(foreseen('reserved', title).outcome, 'role_missing')
  assert.equal(foreseen('open', title, { readOnly: true }).outcome, 'read_only')
  assert.equal(foreseen('open', {}).outcome, 'arguments_invalid')
  assert.equal(foreseen('unused', title).outcome, 'unknown_action')
})

test('nothing that a model made up is passed on, but whether it fits', () => {
  const secret = 'Ada has cancer'
  const invented = foreseen('open', { title: secret, [secret]: secret, priority: 'high' })
  assert.deepEqual(invented, { action: 'open', outcome: 'arguments_invalid', arguments: ['title', 'priority'] })
  assert.deepEqual(foreseen(secret, {}), { action: null, outcome: 'unknown_action', arguments: [] })
  assert.deepEqual(foreseen('open', `{"title": "${secret}`).arguments, [])
  for (const text of ['null', '3', '[]', '"title"']) assert.deepEqual(foreseen('open', text).arguments, [], text)
})
