import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { createAudit } from '#governance/audit/create.ts'
import { auditMigration } from '#governance/audit/migration.ts'
import type { Audit, AuditEntry } from '#governance/audit.ts'
import { createLog } from '#log.ts'
import { systemClock } from '#platform/clock.ts'
import type { Sql } from '#platform/sql/sql.ts'
import type { Database } from './sql/under-test.ts'

/** What the audit log promises, on whichever database keeps it. */
export function auditContract(engine: string, openDatabase: () => Promise<Database>): void {
  describe(`the audit log on ${engine}`, () => {
    let database: Database
    let sql: Sql
    let audit: Audit

    before(async () => {
      database = await openDatabase()
      sql = await database.open([auditMigration])
      audit = createAudit({ sql, clock: systemClock, log: createLog('silent') })
    })
    after(async () => {
      await audit.close()
      await sql.close()
      await database[Symbol.asyncDispose]()
    })

    const entryOf = (tenant: string, more: Partial<AuditEntry> = {}): AuditEntry => {
      return { tenant, kind: 'run.approved', actor: 'ana', subject: 'run_1', ...more }
    }

    test('what is recorded is there, newest first, in a chain that holds', async () => {
      const tenant = randomUUID()
      const given = { id: 'one', at: 1000, details: { hash: 'abc', times: 2, mine: true, none: null } }
      await audit.record(entryOf(tenant, given))
      await audit.record(entryOf(tenant, { id: 'two', kind: 'run.rejected', actor: null }))
      await audit.record(entryOf(tenant, { id: 'three', details: { text: 'é "\u0000\u2028' } }))
      const [third, second, first] = await audit.list(tenant, { limit: 10 })
      assert.deepEqual(first, { ...entryOf(tenant, given), seq: 1, hash: first?.hash })
      assert.deepEqual([second?.seq, second?.kind, second?.actor, second?.details], [2, 'run.rejected', null, {}])
      assert.deepEqual(third?.details, { text: 'é "\u0000\u2028' })
      assert.match(first?.hash ?? '', /^[0-9a-f]{64}$/)
      assert.deepEqual(
        (await audit.list(tenant, { limit: 1, before: 3 })).map(({ seq }) => seq),
        [2],
      )
      assert.deepEqual(
        (await audit.list(tenant, { limit: 9, kind: 'run.approved' })).map(({ seq }) => seq),
        [3, 1],
      )
      const head = { seq: 3, hash: third?.hash }
      assert.deepEqual(await audit.verify(tenant), { intact: true, entries: 3, head, broken: null })
    })

    test('the same order of fields makes the same hash, and a tenant its own chain', async () => {
      const [one, other] = [randomUUID(), randomUUID()]
      const same = { id: 'x', at: 1 }
      await audit.record(entryOf(one, { ...same, details: { a: 1, b: 2 } }))
      await audit.record(entryOf(other, { ...same, details: { b: 2, a: 1 } }))
      const [[a], [b]] = [await audit.list(one, { limit: 1 }), await audit.list(other, { limit: 1 })]
      assert.notEqual(a?.hash, b?.hash)
      assert.deepEqual(a?.details, b?.details)
      assert.deepEqual(await audit.verify(randomUUID()), { intact: true, entries: 0, head: null, broken: null })
    })

    test('told again under the same id it is kept once', async () => {
      const tenant = randomUUID()
      await Promise.all([1, 2, 3].map(() => audit.record(entryOf(tenant, { id: 'rollout:7' }))))
      for (const id of ['a', 'rollout:7', 'a', 'b']) assert.equal(audit.note(entryOf(tenant, { id })), true)
      await audit.record(entryOf(tenant, { id: 'last' }))
      await audit.close()
      const ids = (await audit.list(tenant, { limit: 10 })).map(({ id }) => id)
      assert.deepEqual(new Set(ids), new Set(['rollout:7', 'a', 'b', 'last']))
      assert.equal(ids.length, 4)
      assert.equal((await audit.verify(tenant)).intact, true)
    })

    test('writers at the same time stand in one chain', async () => {
      const tenant = randomUUID()
      const another = createAudit({ sql, clock: systemClock, log: createLog('silent') })
      const writers = Array.from({ length: 20 }, (_, index) => (index % 2 ? audit : another))
      await Promise.all(writers.map((writer, index) => writer.record(entryOf(tenant, { id: String(index) }))))
      const { intact, entries, head } = await audit.verify(tenant)
      assert.deepEqual([intact, entries, head?.seq], [true, 20, 20])
    })

    test('what is part of a transaction is kept with it or not at all', async () => {
      const tenant = randomUUID()
      await sql.transaction('system', (tx) => audit.within(tx, entryOf(tenant)))
      const failing = sql.transaction({ tenant }, async (tx) => {
        await audit.within(tx, entryOf(tenant))
        throw new Error('no')
      })
      await assert.rejects(failing, /no/)
      assert.deepEqual([(await audit.verify(tenant)).entries, (await audit.list(tenant, { limit: 9 })).length], [1, 1])
    })

    test('many entries are verified page by page, and a head that was seen before is looked for', async () => {
      const tenant = randomUUID()
      for (let index = 0; index < 1100; index++) audit.note(entryOf(tenant, { id: String(index) }))
      await audit.close()
      const [seen] = await audit.list(tenant, { limit: 1, before: 1002 })
      assert.ok(seen)
      assert.equal((await audit.verify(tenant, seen)).entries, 1100)
      const other = await audit.verify(tenant, { seq: 1001, hash: '0'.repeat(64) })
      assert.deepEqual(other.broken, { seq: 1001, because: 'not-as-seen' })
      const gone = await audit.verify(tenant, { seq: 1101, hash: seen.hash })
      assert.deepEqual(gone.broken, { seq: 1101, because: 'cut-off' })
    })

    test('neither role changes an entry or takes one out', async () => {
      const tenant = randomUUID()
      await audit.record(entryOf(tenant))
      for (const scope of [{ tenant }, 'system'] as const) {
        for (const change of [
          "UPDATE audit SET actor = 'bob'",
          'DELETE FROM audit',
          'TRUNCATE audit',
          'DELETE FROM audit_heads',
        ]) {
          await assert.rejects(sql.query(scope, change), { code: '42501' }, change)
        }
      }
      assert.deepEqual(await sql.query({ tenant: randomUUID() }, 'SELECT * FROM audit'), [])
      assert.equal((await audit.verify(tenant)).intact, true)
    })
  })
}
