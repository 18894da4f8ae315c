import assert from 'node:assert/strict'
import { test } from 'node:test'
import { reader } from './reader.ts'
import { readRetention } from './retention.ts'

const DAY = 86_400_000

function read(variables: Record<string, string>) {
  const faults: string[] = []
  return { ...readRetention(reader(variables, faults)), faults }
}

test('figures are kept for seven years, the audit log for three and runs for one, unless it is said otherwise', () => {
  assert.deepEqual(read({}), { ledgerMs: 2557 * DAY, auditMs: 1096 * DAY, runMs: 365 * DAY, faults: [] })
  const least = read({ PARLEY_LEDGER_DAYS: '93', PARLEY_AUDIT_DAYS: '93', PARLEY_RUN_DAYS: '7' })
  assert.deepEqual(least, { ledgerMs: 93 * DAY, auditMs: 93 * DAY, runMs: 7 * DAY, faults: [] })
})

test('what the database would not let go is not asked for', () => {
  assert.match(String(read({ PARLEY_LEDGER_DAYS: '92' }).faults), /PARLEY_LEDGER_DAYS .* from 93 to 36500/)
  assert.match(String(read({ PARLEY_AUDIT_DAYS: '36501' }).faults), /PARLEY_AUDIT_DAYS/)
  assert.match(String(read({ PARLEY_RUN_DAYS: '6' }).faults), /PARLEY_RUN_DAYS .* from 7 to 36500/)
  assert.match(String(read({ PARLEY_AUDIT_DAYS: 'never' }).faults), /PARLEY_AUDIT_DAYS/)
})
