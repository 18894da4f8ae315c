import assert from 'node:assert/strict'
import type { Tx } from '#platform/sql/sql.ts'
import { type Check, idsOf, insertNote, newTenant } from './under-test.ts'

/** What a transaction is. */
export function transactions(check: Check): void {
  check('what resolves is kept as a whole', async (sql) => {
    const scope = newTenant()
    const seen = await sql.transaction(scope, async (tx) => {
      await tx.query(insertNote, [scope.tenant, 'a'])
      await tx.query(insertNote, [scope.tenant, 'b'])
      return tx.query<{ id: string }>('SELECT id FROM notes ORDER BY id')
    })
    assert.deepEqual(seen, [{ id: 'a' }, { id: 'b' }])
    assert.deepEqual(await idsOf(sql, scope, scope.tenant), ['a', 'b'])
  })

  check('what rejects leaves nothing, and rejects with its own error', async (sql) => {
    const scope = newTenant()
    const reason = new Error('changed my mind')
    const work = sql.transaction(scope, async (tx) => {
      await tx.query(insertNote, [scope.tenant, 'a'])
      throw reason
    })
    await assert.rejects(work, (error) => error === reason)
    assert.deepEqual(await idsOf(sql, scope, scope.tenant), [])
  })

  check('a statement that fails dooms its transaction, even where its error is swallowed', async (sql) => {
    const scope = newTenant()
    let second: unknown
    const work = sql.transaction(scope, async (tx) => {
      await tx.query(insertNote, [scope.tenant, 'a'])
      await tx.query(insertNote, [scope.tenant, 'a']).catch(() => {})
      second = await tx.query('SELECT 1').catch((error) => error.kind)
      return 'as if nothing had happened'
    })
    await assert.rejects(work, { kind: 'unique' })
    assert.equal(second, 'unique')
    assert.deepEqual(await idsOf(sql, scope, scope.tenant), [])
  })

  check('an error of its own may take the place of a statement that failed', async (sql) => {
    const work = sql.transaction('system', async (tx) => {
      await tx.query('SELECT 1 / 0').catch(() => {
        throw new Error('zero is no divisor')
      })
    })
    await assert.rejects(work, /zero is no divisor/)
  })

  check('the first statement may fail, and a transaction may have none', async (sql) => {
    await assert.rejects(
      sql.transaction('system', (tx) => tx.query('nonsense')),
      { code: '42601' },
    )
    assert.equal(await sql.transaction('system', async () => 'nothing to do'), 'nothing to do')
    await assert.rejects(
      sql.transaction('system', async () => {
        throw new Error('nothing done')
      }),
      /nothing done/,
    )
  })

  check('statements that nobody awaits are part of it, in their order', async (sql) => {
    const scope = newTenant()
    await sql.transaction(scope, async (tx) => {
      void tx.query(insertNote, [scope.tenant, 'a'])
      void tx.query(`UPDATE notes SET body = 'after'`)
    })
    assert.deepEqual(await sql.query(scope, 'SELECT id, body FROM notes'), [{ id: 'a', body: 'after' }])
    const failing = sql.transaction(scope, async (tx) => {
      void tx.query(insertNote, [scope.tenant, 'b'])
      tx.query('nonsense').catch(() => {})
    })
    await assert.rejects(failing, { code: '42601' })
    assert.deepEqual(await idsOf(sql, scope, scope.tenant), ['a'])
  })

  check('nothing is added to one that is over', async (sql) => {
    let kept: Tx | undefined
    await sql.transaction('system', async (tx) => {
      await tx.query('SELECT 1')
      kept = tx
    })
    await assert.rejects(async () => kept?.query('SELECT 2'), /the transaction is over/)
    await assert.rejects(
      sql.transaction('system', async (tx) => {
        kept = tx
        throw new Error('no')
      }),
      /no/,
    )
    await assert.rejects(async () => kept?.query('SELECT 3'), /the transaction is over/)
  })

  check('it reads what is committed', async (sql) => {
    const level = await sql.transaction('system', (tx) => tx.query('SHOW transaction_isolation'))
    assert.deepEqual(level, [{ transaction_isolation: 'read committed' }])
  })

  check('a statement that failed at first, or among others, is one like any other later', async (sql) => {
    const scope = newTenant()
    const divide = (by: number) => sql.query<{ n: number }>(scope, 'SELECT 6 / $1::int4 AS n', [by])
    for (const by of [0, 0, 2, 0, 3]) {
      const [row] = await divide(by).catch(() => [{ n: 0 }])
      assert.equal(row?.n, by === 0 ? 0 : 6 / by)
    }
    const inOne = (by: number) =>
      sql.transaction(scope, async (tx) => {
        await tx.query('SELECT 7 / $1::int4 AS n', [by])
        return tx.query<{ n: number }>('SELECT 8 / $1::int4 AS n', [by - 1])
      })
    for (const by of [0, 1, 0, 1, 2]) {
      const [row] = await inOne(by).catch(() => [{ n: 0 }])
      assert.equal(row?.n, by === 2 ? 8 : 0)
    }
  })

  check('more different statements than a server keeps prepared are all answered', async (sql) => {
    for (let times = 0; times < 2; times++) {
      const answers = Array.from({ length: 250 }, (_, n) => sql.query('system', `SELECT ${n} AS n`))
      assert.deepEqual((await Promise.all(answers))[249], [{ n: 249 }])
    }
    const kept = `SELECT count(*) FROM pg_prepared_statements`
    const [row] = await sql.query<{ count: number }>('system', kept)
    assert.ok(row && row.count <= 200, `${row?.count} are kept`)
  })

  check('many at once do not mix: each counts on from what it read', async (sql) => {
    const scope = newTenant()
    await sql.query(scope, 'INSERT INTO notes (tenant, id, body) VALUES ($1, $2, $3)', [scope.tenant, 'count', '0'])
    const increment = async (n: number) => {
      const work = sql.transaction(scope, async (tx) => {
        const [row] = await tx.query<{ body: string }>(`SELECT body FROM notes WHERE id = 'count' FOR UPDATE`)
        await new Promise((resolve) => setImmediate(resolve))
        await tx.query(`UPDATE notes SET body = $1 WHERE id = 'count'`, [String(Number(row?.body) + 1)])
        if (n % 3 === 0) throw new Error('every third fails')
      })
      await work.catch(() => {})
      // Beside the others, and failing now and then.
      await sql.query(scope, n % 4 === 0 ? 'SELECT 1 / 0' : 'SELECT 1').catch(() => {})
    }
    await Promise.all(Array.from({ length: 30 }, (_, n) => increment(n)))
    assert.deepEqual(await sql.query(scope, `SELECT body FROM notes WHERE id = 'count'`), [{ body: '20' }])
  })

  check('a session that breaks is followed by another', async (sql) => {
    const scope = newTenant()
    const work = sql.transaction(scope, async (tx) => {
      await tx.query(insertNote, [scope.tenant, 'lost'])
      // No engine is left with a session after a COPY that nothing comes for.
      await tx.query('RESET ROLE')
      await tx.query('COPY parley_migrations FROM STDIN')
    })
    await assert.rejects(work, { code: 'database_unavailable' })
    assert.equal(sql.reachable, true)
    assert.deepEqual(await idsOf(sql, scope, scope.tenant), [])
  })

  for (const code of ['40001', '40P01']) {
    const fail = `DO $$ BEGIN RAISE EXCEPTION 'lost a race' USING ERRCODE = '${code}'; END $$`

    check(`it is run again after ${code}, from its beginning`, async (sql) => {
      const scope = newTenant()
      let runs = 0
      const result = await sql.transaction(scope, async (tx) => {
        runs += 1
        await tx.query(insertNote, [scope.tenant, `run ${runs}`])
        // Even where it is taken for something else.
        if (runs < 3) await tx.query(fail).catch(() => Promise.reject(new Error('what now?')))
        return runs
      })
      assert.equal(result, 3)
      assert.deepEqual(await idsOf(sql, scope, scope.tenant), ['run 3'])
    })

    check(`it is not run again for ever after ${code}`, async (sql) => {
      let runs = 0
      const work = sql.transaction('system', async (tx) => {
        runs += 1
        await tx.query(fail)
      })
      await assert.rejects(work, { code: 'database_unavailable' })
      assert.equal(runs, 5)
      await assert.rejects(sql.query('system', fail), { code: 'database_unavailable' })
      assert.equal(sql.reachable, true)
    })
  }
}
