import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { createLog } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import { LockLostError } from '#platform/queue/queue.ts'
import { SqliteQueue } from '#platform/queue/sqlite.ts'
import { manualClock } from '../support/clock.ts'
import { duplicateWindowMs, lockMs, messageOf, messages, settle, take, until } from './queue/under-test.ts'

/** What only the embedded queue can suffer. */

const log = createLog('silent')

test('a queue that is opened again has all that it had', async () => {
  await using folder = await newFolder()
  const clock = manualClock()
  const first = open(folder.file, clock)
  const [ready, poison, scheduled, off] = ['ready', 'poison', 'scheduled', 'off'].map((body) => messageOf(body))
  assert.ok(ready && poison && scheduled && off)
  await first.send([poison])
  const burying = take(first, (delivery) => delivery.deadLetter('poison', 'why'))
  await until(() => burying.deliveries.length === 1)
  await burying.receiver.stop(0)
  await first.send([ready])
  const handles = await first.schedule([scheduled, off], clock.now() + 5000)
  await first.close()

  const second = open(folder.file, clock)
  await second.send([ready, scheduled])
  await second.cancel(handles.slice(1))
  assert.deepEqual(
    (await second.deadLetters(10)).map(({ id, reason }) => [id, reason]),
    [[poison.id, 'poison']],
  )
  const { deliveries } = take(second)
  await until(() => deliveries.length > 0)
  await settle()
  assert.deepEqual(
    deliveries.map(({ id }) => id),
    [ready.id],
  )
  clock.advance(5000)
  await until(() => deliveries.length > 1)
  await settle()
  assert.deepEqual(
    deliveries.map(({ id }) => id),
    [ready.id, scheduled.id],
  )
  await second.close()
})

test('a process that is killed has lost nothing that it acknowledged; what it held comes again at once', async () => {
  await using folder = await newFolder()
  for (let round = 0; round < 2; round++) {
    const { sent, completed, taken } = await killedWriter(folder.file)
    assert.ok(sent.size > 20 && completed.size > 5)
    const queue = open(folder.file, manualClock(Date.now()))
    const { deliveries } = take(queue, undefined, { concurrency: 1000 })
    const missing = () => {
      const again = new Set(deliveries.map(({ id }) => id))
      return [...sent].filter((id) => !completed.has(id) && !again.has(id))
    }
    // A completion may have been kept though nobody was told.
    await until(() => missing().every((id) => taken.has(id)))
    await settle()
    assert.deepEqual(
      missing().filter((id) => !taken.has(id)),
      [],
    )
    assert.ok(deliveries.every(({ id }) => !completed.has(id)))
    assert.ok(deliveries.some(({ deliveryCount }) => deliveryCount === 2))
    await queue.close()
  }
})

test('a database that cannot be written refuses, and takes calls again', async () => {
  await using folder = await newFolder()
  const clock = manualClock()
  const queue = open(folder.file, clock)
  const kept = messageOf()
  const gate = Promise.withResolvers<void>()
  const outcomes: unknown[] = []
  const { deliveries } = take(queue, async (delivery) => {
    if (delivery.id !== kept.id) return delivery.complete()
    await gate.promise
    outcomes.push(await delivery.complete().catch((error) => error))
    await until(() => queue.reachable)
    outcomes.push(await delivery.complete().catch((error) => error))
  })
  await queue.send([kept])
  await until(() => deliveries.length === 1)
  const intruder = new DatabaseSync(folder.file)
  intruder.exec('BEGIN IMMEDIATE')
  await assert.rejects(queue.send([messageOf()]), { code: 'queue_unavailable' })
  assert.equal(queue.reachable, false)
  gate.resolve()
  await until(() => outcomes.length === 1)
  assert.equal(outcomes[0] instanceof Error && 'code' in outcomes[0] && outcomes[0].code, 'queue_unavailable')
  intruder.exec('ROLLBACK')
  intruder.close()
  clock.advance(1000)
  await until(() => outcomes.length === 2)
  assert.equal(queue.reachable, true)
  assert.equal(outcomes[1], undefined)
  await queue.send([messageOf()])
  await until(() => deliveries.length === 2)
  await queue.close()
})

test('a lock that runs out while somebody settles is lost, whoever is first', async () => {
  await using folder = await newFolder()
  const clock = manualClock()
  const queue = open(folder.file, clock)
  const outcomes: unknown[] = []
  const { deliveries } = take(queue, async (delivery) => {
    if (delivery.deliveryCount > 1) return delivery.complete()
    const completing = delivery.complete()
    clock.advance(lockMs)
    outcomes.push(await completing.catch((error) => error))
  })
  await queue.send([messageOf()])
  await until(() => deliveries.length === 2)
  assert.ok(outcomes[0] instanceof LockLostError)
  await queue.close()
})

test('what is due in months is waited for without hurry, and comes though the machine was asleep', async () => {
  await using folder = await newFolder()
  const clock = manualClock()
  const waits: number[] = []
  let asleepMs = 0
  const queue = open(folder.file, {
    ...clock,
    now: () => clock.now() + asleepMs,
    after: (ms, task) => {
      waits.push(ms)
      return clock.after(ms, task)
    },
  })
  const { deliveries } = take(queue)
  const dayMs = 86_400_000
  await queue.schedule([messageOf()], clock.now() + 60 * dayMs)
  await settle()
  assert.ok(Math.max(...waits) < 2 ** 31, 'what a timer has room for')
  asleepMs = 60 * dayMs
  assert.equal(deliveries.length, 0)
  // Timers stand still while a machine sleeps.
  clock.advance(60_000)
  await until(() => deliveries.length === 1)
  await queue.close()
})

test('what it keeps is for its owner alone, and ids are forgotten after their window', async () => {
  await using folder = await newFolder()
  const clock = manualClock()
  const queue = open(folder.file, clock)
  await queue.send(messages(500))
  for (const file of [folder.file, `${folder.file}-wal`]) assert.equal(statSync(file).mode & 0o777, 0o600)
  const { deliveries } = take(queue, undefined, { concurrency: 500 })
  await until(() => deliveries.length === 500)
  await settle()
  clock.advance(duplicateWindowMs)
  await queue.send([messageOf()])
  await until(() => deliveries.length === 501)
  await queue.close()
  const database = new DatabaseSync(folder.file, { readOnly: true })
  const count = (table: string) => database.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.n
  assert.deepEqual([count('recent'), count('messages'), count('dead')], [1, 0, 0])
  database.close()
})

function open(path: string, clock: Clock): SqliteQueue {
  return new SqliteQueue({ path, clock, log })
}

async function newFolder(): Promise<{ file: string } & AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), 'queue-'))
  return { file: join(folder, 'queue.db'), [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) }
}

/** A process that sends and consumes until it is killed: what it had acknowledged, what it took, and what it had completed. */
async function killedWriter(file: string) {
  const child = spawn(process.execPath, ['test/contracts/queue/sqlite-writer.ts', file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const gone = once(child, 'close')
  let output = ''
  child.stdout.on('data', (piece) => {
    output += piece
  })
  await until(() => output.split('completed').length > 20)
  child.kill('SIGKILL')
  await gone
  const said = (what: string): Set<string> =>
    new Set(Array.from(output.matchAll(new RegExp(`^${what} (.*)\n`, 'gm')), ([, id = '']) => id))
  return { sent: said('sent'), taken: said('taken'), completed: said('completed') }
}
