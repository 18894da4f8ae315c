import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, describe, test } from 'node:test'
import { createAudit } from '#governance/audit/create.ts'
import { auditCutMigration } from '#governance/audit/cut-migration.ts'
import { auditMigration } from '#governance/audit/migration.ts'
import { createLog } from '#log.ts'
import { systemClock } from '#platform/clock.ts'
import { openSql } from '#platform/sql/open.ts'
import { execute, sharedPostgres } from '../support/postgres.ts'
import { auditContract } from './audit.ts'

const tokens = { token: async () => ({ token: '', expiresAt: 0 }) }
const server = await sharedPostgres()
after(() => server[Symbol.asyncDispose]())
const openAt = (url: string, migrations: Parameters<typeof openSql>[0]['migrations']) => {
  const env = { engine: 'postgres', url, auth: 'url', poolSize: 8 } as const
  return openSql({ env, migrations, clock: systemClock, log: createLog('silent'), tokens })
}

auditContract('PostgreSQL', async () => {
  const url = await server.createDatabase()
  return { open: (migrations) => openAt(url, migrations), [Symbol.asyncDispose]: async () => {} }
})

describe('tampering by who owns the tables', () => {
  /** What it comes to when somebody does this to a chain of five, once the trigger is out of the way. */
  async function verdictAfter(...statements: string[]) {
    const url = await server.createDatabase()
    const sql = await openAt(url, [auditMigration, auditCutMigration])
    try {
      const audit = createAudit({ sql, clock: systemClock, log: createLog('silent') })
      for (let index = 1; index <= 5; index++) {
        await audit.record({ tenant: 't', kind: 'run.approved', actor: 'ana', subject: `run_${index}`, at: index })
      }
      const [seen] = await audit.list('t', { limit: 1 })
      assert.ok(seen)
      // The owner would see no row for its own sake.
      const free = ['ALTER TABLE audit DISABLE TRIGGER USER', 'ALTER TABLE audit NO FORCE ROW LEVEL SECURITY']
      await execute(url, ...free, 'ALTER TABLE audit_heads NO FORCE ROW LEVEL SECURITY', ...statements)
      await execute(
        url,
        'ALTER TABLE audit FORCE ROW LEVEL SECURITY',
        'ALTER TABLE audit_heads FORCE ROW LEVEL SECURITY',
      )
      const [{ broken }, then] = [await audit.verify('t'), await audit.verify('t', seen)]
      return { broken, thenAsSeen: then.broken }
    } finally {
      await sql.close()
    }
  }

  test('nothing was done: it holds', async () => {
    assert.deepEqual(await verdictAfter(), { broken: null, thenAsSeen: null })
  })

  test('changed, in any column', async () => {
    const columns = [
      "id = 'x'",
      'at = 99',
      "kind = 'run.rejected'",
      'actor = NULL',
      "subject = 'run_9'",
      `details = '{"a":1}'`,
    ]
    for (const change of [...columns, "hash = repeat('0', 64)"]) {
      const { broken } = await verdictAfter(`UPDATE audit SET ${change} WHERE seq = 3`)
      assert.deepEqual(broken, { seq: 3, because: 'changed' }, change)
    }
  })

  test('taken out, from the beginning, the middle or the end', async () => {
    const out = async (where: string) => (await verdictAfter(`DELETE FROM audit WHERE ${where}`)).broken
    assert.deepEqual(await out('seq = 1'), { seq: 1, because: 'missing' })
    assert.deepEqual(await out('seq = 3'), { seq: 3, because: 'missing' })
    assert.deepEqual(await out('seq > 3'), { seq: 4, because: 'cut-off' })
    assert.deepEqual(await out('true'), { seq: 1, because: 'cut-off' })
  })

  test('taken out, and those after it moved up', async () => {
    const { broken } = await verdictAfter(
      'DELETE FROM audit WHERE seq = 3',
      'UPDATE audit SET seq = seq - 1 WHERE seq = 4',
    )
    assert.deepEqual(broken, { seq: 3, because: 'changed' })
  })

  test('put in another order', async () => {
    const swap = [
      'UPDATE audit SET seq = 99 WHERE seq = 2',
      'UPDATE audit SET seq = 2 WHERE seq = 3',
      'UPDATE audit SET seq = 3 WHERE seq = 99',
    ]
    assert.deepEqual((await verdictAfter(...swap)).broken, { seq: 2, because: 'changed' })
  })

  test('added behind the back of the head', async () => {
    const forged = `INSERT INTO audit SELECT tenant, 6, 'forged', at, kind, actor, subject, details, hash FROM audit WHERE seq = 5`
    assert.deepEqual((await verdictAfter(forged)).broken, { seq: 6, because: 'changed' })
    const head = 'UPDATE audit_heads SET seq = 4, hash = (SELECT hash FROM audit WHERE seq = 4)'
    assert.deepEqual((await verdictAfter(head)).broken, { seq: 5, because: 'added-past-head' })
  })

  test('the end cut off together with the head: whoever has seen the head finds it', async () => {
    const cut = [
      'DELETE FROM audit WHERE seq > 3',
      'UPDATE audit_heads SET seq = 3, hash = (SELECT hash FROM audit WHERE seq = 3)',
    ]
    assert.deepEqual(await verdictAfter(...cut), { broken: null, thenAsSeen: { seq: 4, because: 'cut-off' } })
    const all = ['DELETE FROM audit', 'DELETE FROM audit_heads']
    assert.deepEqual(await verdictAfter(...all), { broken: null, thenAsSeen: { seq: 1, because: 'cut-off' } })
  })
})

test('the trigger stops the owner, too', async () => {
  const url = await server.createDatabase()
  const sql = await openAt(url, [auditMigration, auditCutMigration])
  await sql.query('system', 'SELECT 1')
  await sql.close()
  for (const change of ["UPDATE audit SET actor = 'x'", 'DELETE FROM audit', 'TRUNCATE audit']) {
    await assert.rejects(execute(url, change), /only added to/)
  }
})

test('a process that owns nothing keeps the log, and could not take the trigger away', async () => {
  const url = await server.createDatabase()
  const owner = await openAt(url, [auditMigration, auditCutMigration])
  await owner.query('system', 'SELECT 1')
  await owner.close()
  const login = `app_${randomUUID().replaceAll('-', '')}`
  await execute(
    Object.assign(new URL(server.url), { pathname: new URL(url).pathname }).href,
    `CREATE ROLE ${login} LOGIN PASSWORD 'app' IN ROLE parley_tenant, parley_system`,
    `GRANT SELECT ON parley_migrations TO ${login}`,
  )
  const asApp = Object.assign(new URL(url), { username: login, password: 'app' }).href
  const sql = await openAt(asApp, [auditMigration, auditCutMigration])
  try {
    const audit = createAudit({ sql, clock: systemClock, log: createLog('silent') })
    await audit.record({ tenant: 't', kind: 'run.approved', actor: 'ana', subject: 'run_1' })
    assert.equal((await audit.verify('t')).entries, 1)
    for (const change of ['ALTER TABLE audit DISABLE TRIGGER USER', 'DROP TABLE audit', 'DELETE FROM audit']) {
      await assert.rejects(execute(asApp, change), { code: '42501' }, change)
    }
  } finally {
    await sql.close()
  }
})
