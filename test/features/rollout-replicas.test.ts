import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLog } from '#log.ts'
import { systemClock } from '#platform/clock.ts'
import type { Kv } from '#platform/kv/kv.ts'
import { openKv } from '#platform/kv/open.ts'
import { until } from '../contracts/kv/under-test.ts'
import { command, startRedis } from '../support/redis.ts'
import { failed, openRolloutGround, ROUND_MS, type RolloutReplica } from '../support/rollouts-at-hand.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'

const common = {
  clock: systemClock,
  log: createLog('silent'),
  tokens: { token: async () => ({ token: '', expiresAt: 0 }) },
}
const openRedis = (url: string): Promise<Kv> =>
  openKv({ env: { engine: 'redis', url, cluster: false, auth: 'url' }, ...common })

/** Replicas over a real Redis and one folder of blobs; each has a client of its own. */
async function openReplicas(count: number, env = {}) {
  await using opened = new AsyncDisposableStack()
  const server = opened.use(await startRedis())
  const proxy = opened.use(await startTcpProxy({ host: '127.0.0.1', port: Number(new URL(server.url).port) }))
  const kvs: Kv[] = []
  for (let n = 0; n < count; n++) {
    const kv = await openRedis(`redis://127.0.0.1:${proxy.port}`)
    opened.defer(() => kv.close())
    kvs.push(kv)
  }
  const ground = opened.use(await openRolloutGround({ kv: kvs[0] as Kv, env: { trialClosesMs: 0, ...env } }))
  ground.push('v1')
  const replicas: RolloutReplica[] = []
  for (const [n, kv] of kvs.entries()) replicas.push(await ground.replica({ kv, skewMs: n * 1_800_000 }))
  const closing = opened.move()
  return { server, proxy, ground, replicas, [Symbol.asyncDispose]: () => closing.disposeAsync() }
}

const leaders = (replicas: readonly RolloutReplica[]) => replicas.filter(({ rollouts }) => rollouts.view().leader)

test('only one of three replicas leads, and a replica that does not lead rolls back for all', async () => {
  await using fixture = await openReplicas(3)
  const { ground, replicas } = fixture
  assert.equal(leaders(replicas).length, 1)
  ground.push('v2')
  await ground.passUntil(() => replicas.every(({ rollouts }) => rollouts.view().live !== null))
  const follower = replicas.find(({ rollouts }) => !rollouts.view().leader)
  // The leader hears nothing of it: only the follower serves, and judges what it serves.
  for (const replica of leaders(replicas)) replica.kill()
  for (let n = 0; n < 3; n++) follower?.converse({ arm: 'canary', ...failed })
  const others = replicas.filter((replica) => replica === follower || !replica.rollouts.view().leader)
  await ground.passUntil(() => others.every(({ rollouts }) => rollouts.view().live === null))
  for (const { serving, rollouts } of others) {
    assert.equal(rollouts.view().finished[0]?.outcome, 'rolled-back')
    assert.equal(serving.assign('conv_1').cohort, '')
  }
  const [line, ...lines] = (await follower?.rollouts.history(10)) ?? []
  assert.deepEqual([line?.to, lines.length], ['rolled-back', 2], 'once, whoever wrote it')
  await Promise.all(replicas.map((replica) => replica.close()))
})

test('a leader that is killed is followed by another, which goes on', async () => {
  await using fixture = await openReplicas(3)
  const { ground, replicas } = fixture
  for (let n = 0; n < 250; n++) replicas[n % 3]?.converse()
  await ground.pass(ROUND_MS)
  ground.push('v2')
  await ground.passUntil(() => replicas.every(({ rollouts }) => rollouts.view().live !== null))
  const [dead] = leaders(replicas)
  dead?.kill()
  const alive = replicas.filter((replica) => replica !== dead)
  for (let n = 0; n < 60; n++) alive[n % 2]?.converse({ arm: 'canary' })
  await ground.passUntil(() => alive.some(({ rollouts }) => (rollouts.view().live?.step ?? 0) === 1))
  assert.equal(leaders(alive).length, 1)
  await Promise.all(replicas.map((replica) => replica.close()))
})

test('clocks that are far apart neither shorten nor lengthen a step or the bake', async () => {
  await using fixture = await openReplicas(2, { bakeMs: 60_000 })
  const { ground, replicas } = fixture
  ground.push('v2')
  await ground.passUntil(() => replicas.every(({ rollouts }) => rollouts.view().live !== null))
  const [one, two] = replicas
  const olga = { tenant: 'local', id: 'olga', name: 'Olga', kind: 'user', roles: ['Admin'], scopes: [] } as const
  for (const replica of [one, two, one]) {
    const ifMatch = replica?.rollouts.view().etag ?? ''
    await replica?.rollouts.promote(olga, { reason: 'By hand.', ifMatch }).catch(() => {})
    await ground.pass(2 * ROUND_MS)
    if (replica?.rollouts.view().live?.status === 'baking') break
  }
  // Turned by hand, the replicas' clocks pass the bake; the store's, which counts, does not.
  await ground.pass(120_000, 20_000)
  assert.deepEqual(
    replicas.map(({ rollouts }) => rollouts.view().live?.status),
    ['baking', 'baking'],
  )
  const times = (await one?.rollouts.history(10))?.slice(0, 3).map(({ at }) => Math.abs(at - Date.now()))
  assert.ok(
    times?.every((ms) => ms < 60_000),
    'times of the state are the store’s',
  )
  await Promise.all(replicas.map((replica) => replica.close()))
})

test('a Redis that is flushed in the middle pauses the rollout on every replica', async () => {
  await using fixture = await openReplicas(2)
  const { server, ground, replicas } = fixture
  ground.push('v2')
  await ground.passUntil(() => replicas.every(({ rollouts }) => rollouts.view().live !== null))
  await command(server.url, 'FLUSHALL')
  for (let n = 0; n < 5; n++) replicas[0]?.converse({ arm: 'canary' })
  await ground.passUntil(() =>
    replicas.every(({ rollouts }) => rollouts.view().live?.paused?.cause === 'counters-lost'),
  )
  assert.ok(replicas.every(({ serving }) => serving.assign('conv_1').cohort === ''))
  await Promise.all(replicas.map((replica) => replica.close()))
})

test('with Redis away nothing is judged; what happened meanwhile is counted when it is back', async () => {
  await using fixture = await openReplicas(1)
  const { proxy, ground, replicas } = fixture
  const [replica] = replicas
  ground.push('v2')
  await ground.passUntil(() => replica?.rollouts.view().live !== null)
  proxy.break()
  for (let n = 0; n < 3; n++) replica?.converse({ arm: 'canary', ...failed })
  await ground.passUntil(() => /out of reach/.test(replica?.rollouts.view().verdict.sentence ?? ''))
  assert.ok(replica?.rollouts.view().live)
  proxy.mend()
  await until(async () => {
    await ground.pass(ROUND_MS)
    return replica?.rollouts.view().live === null
  })
  assert.equal(replica?.rollouts.view().finished[0]?.outcome, 'rolled-back')
  await replica?.close()
})
