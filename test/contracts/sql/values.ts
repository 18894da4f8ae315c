import assert from 'node:assert/strict'
import type { SqlParam, SqlValue } from '#platform/sql/sql.ts'
import { type Check, idsOf, newTenant } from './under-test.ts'

/** How values get there and back. */
export function values(check: Check): void {
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, n) => n))
  const text = `"quoted", 'twice', back\\slash, {braces}, NULL, ünïcödé, 🐘, line\nbreak, tab\t`
  const moment = new Date('2026-02-28T23:59:59.123Z')
  const big = 'x'.repeat(3_000_000)

  const pairs: [type: string, param: SqlParam, back: SqlValue][] = [
    ['text', text, text],
    ['text', '', ''],
    ['text', big, big],
    ['text', null, null],
    ['int4', -7, -7],
    ['int8', Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
    ['int8', -9_007_199_254_740_991n, Number.MIN_SAFE_INTEGER],
    ['float8', 0.1, 0.1],
    ['float8', Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY],
    ['numeric', '12345678901234567890.123', '12345678901234567890.123'],
    ['bool', true, true],
    ['bool', false, false],
    ['timestamptz', moment, moment],
    ['timestamptz', new Date(0), new Date(0)],
    ['timestamp', '2026-02-28 01:02:03', '2026-02-28 01:02:03'],
    ['date', '2026-02-28', '2026-02-28'],
    ['uuid', '2f0a3c1e-0000-4000-8000-00000000beef', '2f0a3c1e-0000-4000-8000-00000000beef'],
    ['bytea', bytes, bytes],
    ['bytea', new Uint8Array(bytes.buffer, bytes.byteOffset + 250, 6), bytes.subarray(250)],
    ['bytea', new Uint8Array(0), Buffer.alloc(0)],
    ['jsonb', { text, list: [1, null, { deep: [] }], no: null }, { text, list: [1, null, { deep: [] }], no: null }],
    ['jsonb', JSON.stringify([1, 'two']), [1, 'two']],
    ['json', {}, {}],
    ['text[]', [text, '', 'null', null, 'b'], [text, '', 'null', null, 'b']],
    ['text[]', [], []],
    ['int4[]', [[1, 2], [3, 4]], [[1, 2], [3, 4]]],
    ['int8[]', [[1, null], [3n, 4]], [[1, null], [3, 4]]],
    ['bool[]', [true, false], [true, false]],
    ['timestamptz[]', [moment], [moment]],
    ['bytea[]', [bytes], [bytes]],
    ['jsonb[]', [{ a: 'x"y' }], [{ a: 'x"y' }]],
  ] // biome-ignore format: a table

  check('every type comes back as it went', async (sql) => {
    for (const [type, param, back] of pairs) {
      const [row] = await sql.query('system', `SELECT $1::${type} AS value`, [param])
      assert.deepEqual(row, { value: back }, type)
    }
  })

  check('an int8 beyond what a number holds exactly is refused, in arrays and in transactions as well', async (sql) => {
    await assert.rejects(sql.query('system', 'SELECT $1::int8', [2n ** 53n]), RangeError)
    await assert.rejects(sql.query('system', 'SELECT $1::int8[]', [[1, -(2n ** 53n)]]), RangeError)
    await assert.rejects(
      sql.transaction('system', (tx) => tx.query('SELECT 9223372036854775807')),
      RangeError,
    )
    assert.deepEqual(await sql.query('system', 'SELECT count(*) FROM (VALUES (1), (2)) AS two'), [{ count: 2 }])
  })

  check('many rows go in one statement, as JSON', async (sql) => {
    const scope = newTenant()
    const rows = Array.from({ length: 50 }, (_, n) => ({
      ...scope,
      id: `n${String(n).padStart(2, '0')}`,
      stars: n % 5,
    }))
    const returned = await sql.query<{ id: string }>(
      scope,
      `INSERT INTO notes (tenant, id, stars)
       SELECT tenant, id, stars FROM jsonb_to_recordset($1::jsonb) AS note (tenant text, id text, stars int8)
       RETURNING id`,
      [JSON.stringify(rows)],
    )
    assert.equal(returned.length, 50)
    assert.deepEqual(
      await idsOf(sql, scope, scope.tenant),
      rows.map(({ id }) => id),
    )
  })

  check('many rows come, of several columns, in their order', async (sql) => {
    const rows = await sql.query(
      'system',
      'SELECT n, n::text AS text, NULL AS nothing FROM generate_series(1, 20000) AS n',
    )
    assert.equal(rows.length, 20_000)
    assert.deepEqual(rows[19_999], { n: 20_000, text: '20000', nothing: null })
  })

  check('a statement that returns nothing answers with no rows', async (sql) => {
    assert.deepEqual(await sql.query('system', 'DELETE FROM leases WHERE false'), [])
    assert.deepEqual(await sql.query('system', ''), [])
  })
}
