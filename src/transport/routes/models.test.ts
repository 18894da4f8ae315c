import assert from 'node:assert/strict'
import { beforeEach, test } from 'node:test'
import type { AuditEntry } from '#governance/audit.ts'
import { partitionOf, type Role } from '#identity/principal.ts'
import type { ModelHealth } from '#models/models.ts'
import { caller, startTransport } from '../../../test/support/transport-server.ts'
import type { Routes } from '../routing.ts'
import { modelRoutes } from './models.ts'

const health: ModelHealth = {
  name: 'primary',
  provider: 'offline',
  circuit: 'half-open',
  held: false,
  firstTokenMs: { p50: 120, p95: undefined },
  calls: 3,
  failures: 1,
  failovers: 1,
  active: 0,
  queued: 0,
  lastFailure: { reason: 'stalled', at: 1 },
  coolingUntil: undefined,
}

let noted: AuditEntry[] = []
const deps = {
  models: { health: () => [health], setCircuit: () => health },
  note: (entry: AuditEntry) => noted.push(entry) > 0,
}
beforeEach(() => {
  noted = []
})

const start = (...roles: Role[]) =>
  startTransport((server) => modelRoutes(server as unknown as Routes, deps), {
    authenticate: () => ({ principal: { ...caller, roles } }),
  })

test('what has no value yet is null, so that the shape is always the same', async () => {
  await using transport = await start()
  const response = await fetch(`${transport.url}/api/v1/models`)
  assert.deepEqual(await response.json(), {
    items: [{ ...health, firstTokenMs: { p50: 120, p95: null }, coolingUntil: null }],
  })
})

test('a circuit is for operators and administrators', async () => {
  const cases: [roles: Role[], status: number][] = [
    [['Config.Operator'], 200],
    [['Chat.User', 'Admin'], 200],
    [['Chat.User', 'Action.Approver', 'Finance.Operator', 'Privacy.Officer'], 403],
    [[], 403],
  ]
  for (const [roles, status] of cases) {
    await using transport = await start(...roles)
    const response = await fetch(`${transport.url}/api/v1/models/primary/circuit`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"state":"open"}',
    })
    assert.equal(response.status, status, roles.join())
    const body = (await response.json()) as { error?: { code: string } }
    assert.equal(body.error?.code, status === 403 ? 'forbidden' : undefined)
  }
  // Who keeps calls away from a model has decided something for others.
  const { tenant } = caller
  const entry = {
    tenant,
    kind: 'circuit.set',
    actor: partitionOf(caller),
    subject: 'primary',
    details: { state: 'open' },
  }
  assert.deepEqual(noted, [entry, entry])
})
