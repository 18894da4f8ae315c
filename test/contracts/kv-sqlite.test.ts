import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { listPartition } from '#governance/privacy/store/list-partition.ts'
import { createLog } from '#log.ts'
import { type Clock, systemClock } from '#platform/clock.ts'
import { createKv } from '#platform/kv/create-kv.ts'
import { type Key, key } from '#platform/kv/kv.ts'
import { SqliteEngine } from '#platform/kv/sqlite.ts'
import { manualClock } from '../support/clock.ts'
import { type ProgramStep, program, steps } from './kv/program.ts'
import { somewhere, until } from './kv/under-test.ts'

/** What only the embedded engine can suffer. */

const log = createLog('silent')

test('a process that is killed has lost nothing that it acknowledged, and nothing of it is half done', async () => {
  await using folder = await newFolder()
  const acknowledged = new Map<string, number>()
  for (let round = 0; round < 3; round++) {
    await killedWriter(folder.file, 100 + 100 * round, acknowledged)
    const store = open(folder.file, manualClock())
    assert.ok(acknowledged.size > 0)
    for (const [n, count] of acknowledged) {
      const [at, record] = [key(`log-${n}`, 'log'), key(`log-${n}`, 'record')]
      const [appended, top] = await store.run(
        program,
        [record, at],
        [steps({ do: 'get', key: 0, field: 'appended' }, { do: 'top', key: 1 })],
      )
      assert.ok(Number(appended) >= count, `log ${n}: ${appended} of ${count} acknowledged`)
      assert.equal(Number(top), Number(appended) - 1)
      let expected = 0
      for (
        let page = await store.read(at, -1, 1000);
        page.length > 0;
        page = await store.read(at, expected - 1, 1000)
      ) {
        for (const { position, body } of page) {
          assert.equal(position, expected)
          assert.equal(body.toString().trimEnd(), `entry ${expected}`)
          expected += 1
        }
      }
      assert.equal(expected, Number(appended))
    }
    await store.close()
  }
})

test('the write-ahead log stays within its bound while it is written all the time', async () => {
  await using folder = await newFolder()
  // Twenty times as fast as it says, so that checkpoints come every 50 ms.
  const clock: Clock = { ...systemClock, after: (delayMs, task) => systemClock.after(delayMs / 20, task) }
  const maxLogPages = 500
  const store = open(folder.file, clock, maxLogPages)
  const body = Buffer.alloc(32_000, 1)
  const written = 60_000_000
  let largest = 0
  for (let position = 0; position * body.length * 4 < written; position++) {
    await Promise.all([0, 1, 2, 3].map((n) => store.append(key('p', `log-${n}`), position, body)))
    largest = Math.max(largest, statSync(`${folder.file}-wal`).size)
  }
  await store.close()
  assert.ok(largest > maxLogPages * 4096, 'the bound was never reached')
  assert.ok(largest < written / 2, `${largest} bytes`)
})

test('what it keeps is for its owner alone', async () => {
  await using folder = await newFolder()
  const store = open(folder.file, manualClock())
  await store.put(somewhere(), Buffer.from('v'))
  for (const file of [folder.file, `${folder.file}-wal`]) assert.equal(statSync(file).mode & 0o777, 0o600)
  await store.close()
})

test('what has changed gets into the tables, and the journal is emptied', async () => {
  await using folder = await newFolder()
  const clock = manualClock()
  const store = open(folder.file, clock)
  const at = somewhere()
  await store.put(at, Buffer.from('v'))
  await Promise.all([0, 1, 2].map((position) => store.append(somewhere(), position, Buffer.alloc(40_000))))
  assert.deepEqual(rowsOf(folder.file), { keys: 4, fields: 0, chunks: 0, members: 0, journal: 2, garbage: 0 })
  for (let n = 0; n < 10; n++) clock.advance(100)
  assert.deepEqual(rowsOf(folder.file), { keys: 4, fields: 2, chunks: 3, members: 0, journal: 0, garbage: 0 })
  assert.equal((await store.get(at))?.value.toString(), 'v')
  await store.close()
})

test('what has expired or been deleted is swept away bit by bit', async () => {
  await using folder = await newFolder()
  const clock = manualClock()
  const store = open(folder.file, clock)
  const [long, many] = [key('p', 'long'), key('p', 'many')]
  for (let position = 0; position < 60; position++)
    await store.append(long, position, Buffer.alloc(70_000), { ttlMs: 500 })
  await Promise.all(
    Array.from({ length: 120 }, (_, n) => store.put(key('p', `value-${n}`), Buffer.from('v'), { ttlMs: 500 })),
  )
  const add = (n: number): ProgramStep => ({ do: 'add', key: 0, member: `m${n}`, score: n })
  await store.run(program, [many], [steps(...Array.from({ length: 500 }, (_, n) => add(n)))])
  for (let n = 0; n < 4; n++) clock.advance(100)
  assert.equal(await store.delete(many), true)
  clock.advance(600)
  const left = rowsOf(folder.file)
  assert.ok(Number(left.keys) > 0 && Number(left.members) > 0, 'not all at once')
  for (let n = 0; n < 100; n++) clock.advance(100)
  assert.deepEqual(rowsOf(folder.file), { keys: 0, fields: 0, chunks: 0, members: 0, journal: 0, garbage: 0 })
  await store.close()
})

test('an expiry is moved on once that makes a thousandth of its time, and not for less', async () => {
  await using folder = await newFolder()
  const clock = manualClock()
  const store = open(folder.file, clock)
  const again = async (at: Key, afterMs: number) => {
    await store.put(at, Buffer.from('v'), { ttlMs: 10_000 })
    clock.advance(afterMs)
    await store.put(at, Buffer.from('v'), { ttlMs: 10_000 })
    clock.advance(10_000 - 1)
    return (await store.get(at)) !== undefined
  }
  assert.equal(await again(key('p', 'within'), 10), false)
  assert.equal(await again(key('p', 'beyond'), 11), true)
  await store.close()
})

test('a database that cannot be written refuses, keeps its state, and takes calls again', async () => {
  await using folder = await newFolder()
  const clock = manualClock()
  const store = open(folder.file, clock)
  const [at, other, record] = [key('p', 'at'), key('p', 'log'), key('p', 'record')]
  await store.put(at, Buffer.from('kept'))
  await store.append(other, 0, Buffer.from('kept'))
  const intruder = new DatabaseSync(folder.file)
  intruder.exec('BEGIN IMMEDIATE')
  const results = await Promise.allSettled([
    store.put(at, Buffer.from('lost')),
    store.append(other, 1, Buffer.from('lost')),
    store.put(record, Buffer.from('lost')),
    store.delete(at),
  ])
  const readOnly = await store.get(at)
  assert.equal(readOnly?.value.toString(), 'kept')
  for (const result of results) assert.equal(result.status === 'rejected' && result.reason.code, 'state_unavailable')
  assert.equal(store.reachable, false)
  intruder.exec('ROLLBACK')
  intruder.close()
  clock.advance(2000)
  assert.equal(store.reachable, true)
  assert.deepEqual(await store.get(at), { value: Buffer.from('kept'), version: 1 })
  assert.deepEqual(await store.read(other, -1, 10), [{ position: 0, body: Buffer.from('kept') }])
  assert.equal(await store.put(record, Buffer.from('new'), { ifVersion: 0 }), 1)
  await store.close()
  const again = open(folder.file, manualClock())
  assert.deepEqual(await again.get(at), { value: Buffer.from('kept'), version: 1 })
  assert.equal((await again.get(record))?.value.toString(), 'new')
  await again.close()
})

test('more than fits into its memory is read back from the tables', async () => {
  await using folder = await newFolder()
  const clock = manualClock()
  const store = open(folder.file, clock)
  const values = Array.from({ length: 48 }, (_, n) => ({ at: key('p', `value-${n}`), body: Buffer.alloc(1 << 20, n) }))
  for (const { at, body } of values) await store.put(at, body)
  for (let n = 0; n < 40; n++) clock.advance(100)
  for (const { at, body } of values) assert.ok((await store.get(at))?.value.equals(body))
  await store.close()
})

test('an operation that fails after it wrote leaves nothing, the others of its tick everything', async () => {
  await using folder = await newFolder()
  const store = open(folder.file, manualClock())
  const keys = ['record', 'log', 'index', 'fresh'].map((name) => key('p', name))
  const all: ProgramStep[] = [
    { do: 'increment', key: 0, field: 'n', by: 1 },
    { do: 'append', key: 1, position: 0, value: 0 },
    { do: 'add', key: 2, member: 'a', score: 1 },
  ]
  await store.run(program, keys, [steps(...all), Buffer.from('kept')])
  const failing: ProgramStep[] = [
    { do: 'increment', key: 0, field: 'n', by: 10 },
    { do: 'set', key: 0, field: 'new', value: 0 },
    { do: 'append', key: 1, position: 5, value: 0 },
    { do: 'add', key: 2, member: 'b', score: 2 },
    { do: 'expire', key: 1, ttlMs: 1 },
    { do: 'increment', key: 3, field: 'n', by: 1 },
    { do: 'delete', key: 0 },
    { do: 'increment', key: 0, field: 'n', by: 5 },
    { do: 'increment', key: 1, field: 'a log has no fields', by: 1 },
  ]
  const heard: string[] = []
  const stop = await store.listen(keys[1] ?? somewhere(), (payload) => heard.push(payload))
  const results = await Promise.allSettled([
    store.run(program, keys, [steps({ do: 'increment', key: 0, field: 'n', by: 1 })]),
    store.run(program, keys, [steps(...failing), Buffer.from('lost')]),
    store.run(program, keys, [steps({ do: 'append', key: 1, position: 1, value: 0 }), Buffer.from('after')]),
  ])
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  )
  const look: ProgramStep[] = [
    { do: 'get', key: 0, field: 'n' },
    { do: 'get', key: 0, field: 'new' },
    { do: 'read', key: 1, after: -1, limit: 10 },
    { do: 'count', key: 2 },
    { do: 'exists', key: 3 },
  ]
  const expected = [Buffer.from('2'), null, 0, Buffer.from('kept'), 1, Buffer.from('after'), 1, 0]
  assert.deepEqual(await store.run(program, keys, [steps(...look)]), expected)
  assert.deepEqual(heard, [])
  stop()
  await store.close()
  const again = open(folder.file, manualClock())
  assert.deepEqual(await again.run(program, keys, [steps(...look)]), expected)
  await again.close()
})

test('a key that is made, dropped and made again in one go is there once, with its last content and expiry', async () => {
  await using folder = await newFolder()
  const clock = manualClock()
  const store = open(folder.file, clock)
  const keys = ['record', 'log'].map((name) => key('p', name))
  const again: ProgramStep[] = [
    { do: 'append', key: 1, position: 0, value: 0 },
    { do: 'expire', key: 1, ttlMs: 1000 },
    { do: 'delete', key: 1 },
    { do: 'append', key: 1, position: 3, value: 0 },
    { do: 'expire', key: 1, ttlMs: 9000 },
    { do: 'expire', key: 1, ttlMs: 5000 },
    { do: 'increment', key: 0, field: 'n', by: 1 },
    { do: 'expire', key: 0, ttlMs: 1000 },
    { do: 'persist', key: 0 },
  ]
  const failing: ProgramStep[] = [
    { do: 'delete', key: 1 },
    { do: 'expire', key: 0, ttlMs: 1000 },
    { do: 'increment', key: 1, field: 'made once more', by: 1 },
    { do: 'append', key: 0, position: 0, value: 0 },
  ]
  const [made, failed, listed] = await Promise.allSettled([
    store.run(program, keys, [steps(...again), Buffer.from('kept')]),
    store.run(program, keys, [steps(...failing), Buffer.from('lost')]),
    store.run(listPartition, [key('p', '')], ['', 10, '']),
  ])
  assert.deepEqual([made?.status, failed?.status], ['fulfilled', 'rejected'])
  assert.deepEqual(
    listed?.status === 'fulfilled' && listed.value.keys,
    ['{p}log', '{p}record'],
    'seen before it is written',
  )
  await store.close()

  const reopened = open(folder.file, clock)
  assert.equal(rowsOf(folder.file).keys, 2)
  assert.deepEqual(await reopened.read(key('p', 'log'), -1, 10), [{ position: 3, body: Buffer.from('kept') }])
  clock.advance(5001)
  const look: ProgramStep[] = [
    { do: 'get', key: 0, field: 'n' },
    { do: 'exists', key: 1 },
  ]
  assert.deepEqual(await reopened.run(program, keys, [steps(...look)]), [Buffer.from('1'), 0])
  await reopened.close()
})

function open(path: string, clock: Clock, maxLogPages?: number) {
  return createKv(new SqliteEngine({ path, clock, log, ...(maxLogPages && { maxLogPages }) }))
}

async function newFolder(): Promise<{ file: string } & AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), 'kv-sqlite-'))
  return { file: join(folder, 'state.db'), [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) }
}

/** A writer that is killed after a while; notes the highest count that it acknowledged for each log. */
async function killedWriter(file: string, afterMs: number, acknowledged: Map<string, number>): Promise<void> {
  const child = spawn(process.execPath, ['test/support/kv-writer.ts', file], { stdio: ['ignore', 'pipe', 'inherit'] })
  const gone = once(child, 'close')
  let output = ''
  child.stdout.on('data', (piece) => {
    output += piece
  })
  await until(() => output.includes('\n'))
  await new Promise((resolve) => setTimeout(resolve, afterMs))
  child.kill('SIGKILL')
  await gone
  for (const [, n = '', count] of output.matchAll(/(\d+):(\d+)(?=[ \n])/g)) acknowledged.set(n, Number(count))
}

function rowsOf(file: string): Record<string, unknown> {
  const database = new DatabaseSync(file, { readOnly: true })
  const tables = ['keys', 'fields', 'chunks', 'members', 'journal', 'garbage']
  const counts = tables.map((table) => [table, database.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.n])
  database.close()
  return Object.fromEntries(counts)
}
