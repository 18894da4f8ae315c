import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { eraseLiveState } from '#governance/privacy/live-state.ts'
import { partitionOf } from '#identity/principal.ts'
import { createLog } from '#log.ts'
import { systemClock } from '#platform/clock.ts'
import { key } from '#platform/kv/kv.ts'
import { openKv } from '#platform/kv/open.ts'
import { somebody } from '../support/conversations.ts'
import { noOwnRedis, startRedis, startRedisCluster } from '../support/redis.ts'
import { program, steps } from './kv/program.ts'

const common = {
  clock: systemClock,
  log: createLog('silent'),
  tokens: { token: async () => ({ token: '', expiresAt: 0 }) },
}
const skip = await noOwnRedis()
const redis = await startRedis()
const cluster = skip ? undefined : await startRedisCluster()
after(async () => {
  await redis[Symbol.asyncDispose]()
  await cluster?.[Symbol.asyncDispose]()
})

const engines = {
  SQLite: () => openKv({ env: { engine: 'sqlite', path: ':memory:' }, ...common }),
  Redis: () => openKv({ env: { engine: 'redis', url: redis.url, cluster: false, auth: 'url' }, ...common }),
  'a Redis Cluster': () =>
    openKv({ env: { engine: 'redis', url: cluster?.url ?? '', cluster: true, auth: 'url' }, ...common }),
}

for (const [engine, open] of Object.entries(engines)) {
  test(`${engine}: everything in a person's partition goes, but for the place of the data key`, {
    skip: engine === 'a Redis Cluster' && skip,
  }, async (t) => {
    const kv = await open()
    t.after(() => kv.close())
    const [who, other] = [somebody(), somebody()]
    const [mine, theirs] = [partitionOf(who), partitionOf(other)]
    const values = Array.from({ length: 2500 }, (_, n) => key(mine, `value-${n}`))
    await Promise.all(values.map((at) => kv.put(at, Buffer.from('x'))))
    await kv.append(key(mine, 'log'), 0, Buffer.from('x'))
    await kv.run(program, [key(mine, 'index')], [steps({ do: 'add', key: 0, member: 'x', score: 1 })])
    const kept = [
      key(mine, 'data-key'),
      key(theirs, 'value-1'),
      key(`${mine}0`, 'value'),
      key('elsewhere', `{${mine}}value`),
    ]
    await Promise.all(kept.map((at) => kv.put(at, Buffer.from('x'))))

    assert.equal(await eraseLiveState(kv, who), 2502)
    assert.equal(await eraseLiveState(kv, who), 0)
    for (const at of kept) assert.ok(await kv.get(at), at)
    for (const at of values) assert.equal(await kv.get(at), undefined)
    assert.deepEqual(await kv.read(key(mine, 'log'), -1, 10), [])
  })
}
