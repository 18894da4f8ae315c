import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, describe, test } from 'node:test'
import { createLog } from '#log.ts'
import { systemClock } from '#platform/clock.ts'
import { openSql } from '#platform/sql/open.ts'
import type { Migration } from '#platform/sql/sql.ts'
import { barePgliteTemplate } from '../support/pglite-template.ts'
import { type Database, tables } from './sql/under-test.ts'
import { sqlContract } from './sql.ts'

const log = createLog('silent')
const tokens = { token: async () => ({ token: '', expiresAt: 0 }) }

sqlContract('PGlite', () => newDatabase(barePgliteTemplate()))

describe('what only PGlite can suffer', () => {
  let database: Database & { path: string }
  before(async () => {
    database = await newDatabase()
  })
  after(() => database[Symbol.asyncDispose]())

  test('it is opened by the first call, for all that come meanwhile, and can be closed unopened', async () => {
    const { path } = database
    const unused = await database.open([tables])
    await unused.close()
    assert.equal(existsSync(path), false)
    const sql = await database.open([tables])
    assert.equal(sql.reachable, true)
    const counts = Array.from({ length: 5 }, (_, n) => sql.query('system', 'SELECT $1::int4 AS n', [n]))
    assert.deepEqual(await Promise.all(counts), [[{ n: 0 }], [{ n: 1 }], [{ n: 2 }], [{ n: 3 }], [{ n: 4 }]])
    await sql.close()
    await assert.rejects(sql.query('system', 'SELECT 1'), { code: 'database_unavailable' })
  })

  test('rows that were are cleared away every 5,000 calls, since nothing else does it', async () => {
    const sql = await database.open([tables])
    const known = async () => {
      const [row] = await sql.query<{ n: number }>(
        'system',
        `SELECT reltuples AS n FROM pg_class WHERE relname = 'notes'`,
      )
      return row?.n
    }
    const calls = async (count: number) => {
      for (let call = 0; call < count; call++) await sql.query('system', 'SELECT 1')
    }
    await calls(4998)
    assert.equal(await known(), -1)
    await calls(1)
    assert.notEqual(await known(), -1)
    await sql.close()
  })

  test('transactions go one at a time, in the order in which they were asked for', async () => {
    const sql = await database.open([tables])
    const order: string[] = []
    const slow = sql.transaction('system', async (tx) => {
      await tx.query('SELECT 1')
      await new Promise((resolve) => setTimeout(resolve, 20))
      await tx.query('SELECT 2')
      order.push('slow')
    })
    const quick = [1, 2, 3].map((n) => sql.query('system', 'SELECT 1').then(() => order.push(`quick ${n}`)))
    await Promise.all([slow, ...quick])
    assert.deepEqual(order, ['slow', 'quick 1', 'quick 2', 'quick 3'])
    const last = sql.transaction('system', (tx) => tx.query('SELECT 3 AS n'))
    await sql.close()
    assert.deepEqual(await last, [{ n: 3 }])
  })

  test('a folder that cannot be used is a database out of reach', async () => {
    const file = join(database.path, '..', 'file')
    await writeFile(file, 'not a folder')
    const env = { engine: 'pglite', path: join(file, 'database') } as const
    const sql = await openSql({ env, migrations: [], clock: systemClock, log, tokens })
    await assert.rejects(sql.query('system', 'SELECT 1'), { code: 'database_unavailable' })
    assert.equal(sql.reachable, false)
    await sql.close()
  })

  test('what was acknowledged outlives kill -9, and an idle one keeps no process', async () => {
    const { path } = database
    const writer = `
      for (let n = 0; ; n++) {
        await sql.query('system', 'INSERT INTO leases VALUES ($1, $2)', ['lease ' + n, 'writer'])
        // What is written otherwise may wait in the process, and be lost with it.
        writeSync(1, n + '\\n')
      }`
    let acknowledged = 0
    const child = inProcess(path, [tables], writer)
    const gone = once(child, 'exit')
    for await (const line of createInterface(child.stdout)) {
      acknowledged = Number(line)
      if (acknowledged === 100) child.kill('SIGKILL')
    }
    assert.deepEqual(await gone, [null, 'SIGKILL'])

    const reader = `console.log((await sql.query('system', "SELECT count(*) FROM leases WHERE holder = 'writer'"))[0].count)`
    const after = inProcess(path, [tables], reader)
    const ended = once(after, 'exit')
    const [line] = await once(createInterface(after.stdout), 'line')
    assert.deepEqual(await ended, [0, null])
    // The one under way may have been kept as well.
    assert.ok(Number(line) === acknowledged + 1 || Number(line) === acknowledged + 2, `${line} of ${acknowledged}`)
  })
})

async function newDatabase(template?: string): Promise<Database & { path: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'sql-pglite-'))
  const path = join(folder, 'database')
  const env = { engine: 'pglite', path, template } as const
  return {
    path,
    open: (migrations) => openSql({ env, migrations, clock: systemClock, log, tokens }),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  }
}

/** Another process that has `sql` and never closes it. */
function inProcess(path: string, migrations: readonly Migration[], code: string) {
  const source = `
    import { writeSync } from 'node:fs'
    import { createLog } from '#log.ts'
    import { systemClock } from '#platform/clock.ts'
    import { openSql } from '#platform/sql/open.ts'
    const [path, migrations] = JSON.parse(process.argv[1])
    const env = { engine: 'pglite', path }
    const sql = await openSql({ env, migrations, clock: systemClock, log: createLog('silent'), tokens: undefined })
    ${code}`
  const given = ['--input-type=module', '--eval', source, JSON.stringify([path, migrations])]
  return spawn(process.execPath, given, { stdio: ['ignore', 'pipe', 'inherit'] })
}
