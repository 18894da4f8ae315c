import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ActionSpec } from '#config/action-spec.ts'
import { approvalFor, refusalOf, rulesOf } from './rules.ts'

const spec = (more: Partial<ActionSpec> = {}): ActionSpec => ({
  ...{ description: 'd', builtin: 'b', parameters: { type: 'object' } },
  ...more,
})
const user = { roles: ['Chat.User'] } as const

test('what a spec leaves open is on the safe side', () => {
  assert.deepEqual(rulesOf(spec()), {
    ...{ access: 'write', trusted: false, once: true, ordered: false, timeoutMs: 30_000, maxAttempts: 6 },
  })
  assert.equal(rulesOf(spec({ access: 'read' })).once, false)
  assert.equal(rulesOf(spec({ effect: 'idempotent' })).once, false)
})

test('an approval speaks of what it takes, with defaults', () => {
  const approval = approvalFor(spec({ approval: {} }), {}, user, false, 1000)
  assert.deepEqual(approval, {
    ...{ roles: ['Action.Approver'], ownAllowed: false, editable: [], because: 'rule', expiresAt: 86_401_000 },
    ...{ decision: null, decidedBy: null, decidedAt: null },
  })
})

test('values are found along a path, and compared as JSON; all have to fit', () => {
  const rule = spec({ approval: { when: { 'a.b': [{ c: 1 }, 'x'], d: [true] } } })
  const needs = (args: Record<string, unknown>) => approvalFor(rule, args, user, false, 0) !== null
  assert.equal(needs({ a: { b: 'x' }, d: true }), true)
  assert.equal(needs({ a: { b: { c: 1 } }, d: true }), true)
  assert.equal(needs({ a: { b: 'x' }, d: false }), false)
  assert.equal(needs({ a: 'x', d: true }), false)
  assert.equal(needs({ d: true }), false)
  assert.equal(needs({ a: { b: 'constructor' }, d: true }), false)
})

test('once strangers have spoken, a write needs the confirmation of the user or of an approver', () => {
  const approval = approvalFor(spec(), {}, user, true, 0)
  assert.deepEqual([approval?.because, approval?.roles, approval?.ownAllowed], ['untrusted', ['Action.Approver'], true])
  assert.equal(approvalFor(spec({ access: 'read' }), {}, user, true, 0), null)
  assert.equal(approvalFor(spec({ afterUntrusted: 'allowed' }), {}, user, true, 0), null)
})

test('who has no user behind it calls nothing on behalf of one, by whichever way that is done', () => {
  const onBehalfOf = 'api://desk/.default'
  const url = 'https://desk.example/'
  const document = {
    ...{ description: '', models: {}, routes: {}, specialists: {} },
    mcpServers: { desk: { url, onBehalfOf } },
    openapi: { desk: { url, onBehalfOf } },
  }
  const { builtin: _, ...by } = spec()
  const service = { roles: [], kind: 'service' } as const
  for (const way of [
    { http: { method: 'POST', url, onBehalfOf } },
    { mcp: { server: 'desk', tool: 'open' } },
    { openapi: { document: 'desk', operation: 'open' } },
  ] as const) {
    const named: ActionSpec = { ...by, ...way }
    assert.equal(refusalOf({ document }, 'act', named, service), 'user_missing', JSON.stringify(way))
    assert.equal(refusalOf({ document }, 'act', named, { roles: [], kind: 'user' }), undefined)
  }
  assert.equal(refusalOf({ document }, 'act', spec(), service), undefined)
})
