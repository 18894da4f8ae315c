import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import { createAudit } from '#governance/audit/create.ts'
import { auditCutMigration } from '#governance/audit/cut-migration.ts'
import { auditMigration } from '#governance/audit/migration.ts'
import type { Audit, AuditEntry } from '#governance/audit.ts'
import { createLog } from '#log.ts'
import { systemClock } from '#platform/clock.ts'
import type { Sql } from '#platform/sql/sql.ts'
import type { Database } from './sql/under-test.ts'

const YEAR_AGO = Date.now() - 365 * 86_400_000

/** What the audit log promises, on whichever database keeps it. */
export function auditContract(engine: string, openDatabase: () => Promise<Database>): void {
  describe(`the audit log on ${engine}`, () => {
    let database: Database
    let sql: Sql
    let audit: Audit

    before(async () => {
      database = await openDatabase()
      sql = await database.open([auditMigration, auditCutMigration])
    })
    beforeEach(() => {
      audit = createAudit({ sql, clock: systemClock, log: createLog('silent') })
    })
    afterEach(() => audit.close())
    after(async () => {
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
      assert.deepEqual(await audit.verify(tenant), { intact: true, entries: 3, from: null, head, broken: null })
    })

    test('the same order of fields makes the same hash, and a tenant its own chain', async () => {
      const [one, other] = [randomUUID(), randomUUID()]
      const same = { id: 'x', at: 1 }
      await audit.record(entryOf(one, { ...same, details: { a: 1, b: 2 } }))
      await audit.record(entryOf(other, { ...same, details: { b: 2, a: 1 } }))
      const [[a], [b]] = [await audit.list(one, { limit: 1 }), await audit.list(other, { limit: 1 })]
      assert.notEqual(a?.hash, b?.hash)
      assert.deepEqual(a?.details, b?.details)
      assert.deepEqual(await audit.verify(randomUUID()), {
        ...{ intact: true, entries: 0, from: null, head: null, broken: null },
      })
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

    test('what is past its time goes, the chain says what it goes on from, and the rest still holds', async () => {
      const tenant = randomUUID()
      for (let index = 1; index <= 5; index++)
        await audit.record(entryOf(tenant, { at: index, subject: `old ${index}` }))
      for (let index = 6; index <= 8; index++) await audit.record(entryOf(tenant))
      const before = await audit.list(tenant, { limit: 9 })
      const linkAt = (seq: number) => {
        const { hash } = before.find((entry) => entry.seq === seq) ?? { hash: '' }
        return { seq, hash }
      }
      assert.ok((await audit.prune(YEAR_AGO)) >= 5)
      const from = linkAt(5)
      const [cut, ...rest] = await audit.list(tenant, { limit: 9 })
      assert.deepEqual([cut?.kind, cut?.actor, cut?.details], ['audit.cut', null, from])
      assert.deepEqual(rest, before.slice(0, 3))
      const head = { seq: 9, hash: cut?.hash }
      assert.deepEqual(await audit.verify(tenant), { intact: true, entries: 4, from, head, broken: null })

      assert.equal(await audit.prune(YEAR_AGO), 0)
      await audit.record(entryOf(tenant))
      assert.deepEqual(await audit.verify(tenant, linkAt(6)).then(({ entries, broken }) => [entries, broken]), [
        5,
        null,
      ])
      assert.equal((await audit.verify(tenant, from)).broken, null)
      const other = await audit.verify(tenant, { seq: 5, hash: '0'.repeat(64) })
      assert.deepEqual(other.broken, { seq: 5, because: 'not-as-seen' })
      assert.deepEqual((await audit.verify(tenant, linkAt(4))).broken, { seq: 4, because: 'past-its-time' })
    })

    test('a chain is cut again and again, and when nothing of it is young', async () => {
      const tenant = randomUUID()
      await audit.record(entryOf(tenant, { at: 1 }))
      await audit.record(entryOf(tenant, { at: 2 }))
      await audit.prune(2)
      assert.deepEqual(await audit.verify(tenant).then(({ entries, from }) => [entries, from?.seq]), [2, 1])
      await audit.prune(3)
      const verdict = await audit.verify(tenant)
      assert.deepEqual([verdict.intact, verdict.entries, verdict.from?.seq, verdict.head?.seq], [true, 2, 2, 4])
    })

    test('what comes before something young stays, however old it says it is', async () => {
      const tenant = randomUUID()
      await audit.record(entryOf(tenant))
      await audit.record(entryOf(tenant, { at: 1 }))
      await audit.prune(YEAR_AGO)
      const { entries, from } = await audit.verify(tenant)
      assert.deepEqual([entries, from], [2, null])
    })

    test('replicas that cut at once, while others write, leave one chain that holds', async () => {
      const tenant = randomUUID()
      for (let index = 1; index <= 10; index++) await audit.record(entryOf(tenant, { at: index }))
      const another = createAudit({ sql, clock: systemClock, log: createLog('silent') })
      const cuts = [audit, another, audit].map((replica) => replica.prune(YEAR_AGO))
      const writes = Array.from({ length: 10 }, () => another.record(entryOf(tenant)))
      const gone = await Promise.all(cuts)
      await Promise.all(writes)
      assert.ok(gone.reduce((sum, one) => sum + one, 0) >= 10)
      const { intact, entries, from } = await audit.verify(tenant)
      assert.deepEqual([intact, entries, from?.seq], [true, 11, 10])
    })

    test('nothing goes but what is old, from the beginning, and as a later entry states', async () => {
      const tenant = randomUUID()
      for (let index = 1; index <= 3; index++) await audit.record(entryOf(tenant, { at: index }))
      const take = (where: string) => sql.query({ tenant }, `DELETE FROM audit WHERE ${where}`)
      await assert.rejects(take('seq = 1'), { code: '42501' }, 'nothing states it')
      const [, second] = (await audit.list(tenant, { limit: 3 })).toReversed()
      assert.ok(second)
      const { seq, hash } = second
      await audit.record(entryOf(tenant, { kind: 'audit.cut', details: { seq, hash: '0'.repeat(64) } }))
      await assert.rejects(take('seq <= 2'), { code: '42501' }, 'something else is stated')
      await audit.record(entryOf(tenant, { kind: 'audit.cut', details: { seq, hash } }))
      for (const where of ['seq = 2', 'seq = 1', 'seq <= 3', 'true', 'seq = 3']) {
        await assert.rejects(take(where), { code: '42501' }, where)
      }
      await take('seq <= 2')
      assert.equal((await audit.verify(tenant)).from?.seq, 2)
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
