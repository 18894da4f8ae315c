import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { createLog } from '#log.ts'
import { systemClock } from '#platform/clock.ts'
import { type Kv, key, type Reply } from '#platform/kv/kv.ts'
import { openKv } from '#platform/kv/open.ts'
import { type ManualClock, manualClock } from '../support/clock.ts'
import { startRedis } from '../support/redis.ts'
import { type ProgramStep, program, steps } from './kv/program.ts'

/** Two keys of each kind: records 0 and 1, logs 2 and 3, indexes 4 and 5. */
const names = ['record-a', 'record-b', 'log-a', 'log-b', 'index-a', 'index-b']
const values = ['', 'short', 'x'.repeat(3000)].map((value) => Buffer.from(value))

const anyKey = fc.nat({ max: 5 })
const record = fc.nat({ max: 1 })
const log = fc.integer({ min: 2, max: 3 })
const index = fc.integer({ min: 4, max: 5 })
const field = fc.constantFrom('f', 'g')
const counter = fc.constantFrom('n', 'm')
const value = fc.nat({ max: values.length - 1 })
const position = fc.nat({ max: 40 })
const member = fc.constantFrom('a', 'b', 'c', 'd')
const score = fc.integer({ min: -3, max: 3 })
const limit = fc.integer({ min: 1, max: 5 })

const step: fc.Arbitrary<ProgramStep> = fc.oneof(
  fc.record({ do: fc.constantFrom('exists', 'delete', 'persist'), key: anyKey }),
  fc.record({ do: fc.constant('expire'), key: anyKey, ttlMs: fc.constant(1_000_000_000) }),
  fc.record({ do: fc.constant('get'), key: record, field: fc.oneof(field, counter) }),
  fc.record({ do: fc.constant('unset'), key: record, field: fc.oneof(field, counter) }),
  fc.record({ do: fc.constant('set'), key: record, field, value }),
  fc.record({ do: fc.constant('increment'), key: record, field: counter, by: score }),
  fc.record({ do: fc.constant('append'), key: log, position, value }),
  fc.record({ do: fc.constant('append'), key: log, position, value }),
  fc.record({ do: fc.constant('top'), key: log }),
  fc.record({ do: fc.constant('read'), key: log, after: fc.integer({ min: -1, max: 40 }), limit }),
  fc.record({ do: fc.constant('add'), key: index, member, score }),
  fc.record({ do: fc.constant('remove'), key: index, member }),
  fc.record({ do: fc.constant('count'), key: index }),
  fc.record({ do: fc.constant('below'), key: index, maxScore: score, limit }),
  fc.record({ do: fc.constant('highest'), key: index, below: fc.option(score), limit }),
)

/** What befalls the embedded engine between two ticks: nothing, time in which it tidies up, or an end and a new beginning. */
const event = fc.constantFrom('nothing', 'nothing', 'time', 'reopened')
const tick = fc.record({ programs: fc.array(fc.array(step, { maxLength: 6 }), { maxLength: 4 }), event })

test('Lua and twins answer alike, whatever is done, and whatever happens in between', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'kv-alike-'))
  const silent = createLog('silent')
  const tokens = { token: async () => ({ token: '', expiresAt: 0 }) }
  await using server = await startRedis()
  const redis = await openKv({
    env: { engine: 'redis', url: server.url, cluster: false, auth: 'url' },
    clock: systemClock,
    ...{ log: silent, tokens },
  })
  const openSqlite = (clock: ManualClock): Promise<Kv> =>
    openKv({ env: { engine: 'sqlite', path: join(folder, 'state.db') }, clock, log: silent, tokens })
  const clock = manualClock()
  let sqlite = await openSqlite(clock)
  try {
    await fc.assert(
      fc.asyncProperty(fc.array(tick, { minLength: 1, maxLength: 12 }), async (ticks) => {
        const partition = randomUUID()
        const keys = names.map((name) => key(partition, name))
        const play = (kv: Kv, programs: ProgramStep[][]): Promise<Reply[]> =>
          Promise.all(programs.map((each) => kv.run(program, keys, [steps(...each), ...values])))
        for (const { programs, event: next } of ticks) {
          const [expected, answered] = await Promise.all([play(redis, programs), play(sqlite, programs)])
          assert.deepEqual(answered, expected)
          if (next === 'time') clock.advance(250)
          if (next === 'reopened') {
            await sqlite.close()
            sqlite = await openSqlite(clock)
          }
        }
      }),
      { numRuns: 150 },
    )
  } finally {
    await Promise.all([redis.close(), sqlite.close()])
    await rm(folder, { recursive: true })
  }
})
