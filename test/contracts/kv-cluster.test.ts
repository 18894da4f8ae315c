import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, test } from 'node:test'
import { createLog } from '#log.ts'
import { systemClock } from '#platform/clock.ts'
import { createKv } from '#platform/kv/create-kv.ts'
import { type Key, type Kv, key } from '#platform/kv/kv.ts'
import { openKv } from '#platform/kv/open.ts'
import { RedisEngine } from '#platform/kv/redis.ts'
import { slotOf } from '#platform/kv/redis-slots.ts'
import {
  command,
  noOwnRedis,
  type RedisCluster,
  type RedisServer,
  startRedis,
  startRedisCluster,
} from '../support/redis.ts'
import { somewhere, until } from './kv/under-test.ts'

/** What only a cluster can suffer. */

const log = createLog('silent')
const tokens = { token: async () => ({ token: '', expiresAt: 0 }) }
const skip = await noOwnRedis()

const started = skip ? undefined : await startRedisCluster()
after(() => started?.[Symbol.asyncDispose]())

function shared(): RedisCluster {
  if (!started) throw new Error('the cluster is not there')
  return started
}

test('a slot that moves while its log is written: every append is taken, in order', { skip }, async () => {
  const cluster = shared()
  await using store = await open(cluster.url)
  const { kv } = store
  const at = key(randomUUID(), 'log')
  const heard: string[] = []
  const stop = await kv.listen(at, (payload) => heard.push(payload))
  const [from, to] = await ownersFor(slotOf(at), cluster.nodes)

  await using writer = startWriter(kv, at)
  for (let round = 0; round < 3; round++) {
    for (const [source, target] of [
      [from, to],
      [to, from],
    ] as const) {
      const before = writer.count
      await moveSlot(slotOf(at), source, target)
      await until(() => writer.hasFailed || writer.count > before + 100)
      // A slot that moves on while calls still follow it could bring them out of order.
      await writer.settled()
    }
  }
  await writer.end()

  assert.deepEqual(writer.refused, [])
  const seen: number[] = []
  for (let page = await kv.read(at, -1, 1000); page.length > 0; page = await kv.read(at, seen.at(-1) ?? -1, 1000)) {
    seen.push(...page.map((entry) => entry.position))
  }
  assert.deepEqual(
    seen,
    Array.from({ length: writer.count }, (_, n) => n),
  )
  await until(async () => {
    await kv.signal(at, 'still heard')
    return heard.includes('still heard')
  })
  stop()
})

test('a slot that is half moved is served by whichever node has the key', { skip }, async () => {
  const cluster = shared()
  await using store = await open(cluster.url)
  const { kv } = store
  const partition = randomUUID()
  const [stayed, fresh] = [key(partition, 'stayed'), key(partition, 'fresh')]
  await kv.put(stayed, Buffer.from('v'))
  const [from, to] = await ownersFor(slotOf(stayed), cluster.nodes)
  await setMigrating(slotOf(stayed), from, to)
  assert.equal((await kv.get(stayed))?.version, 1)
  assert.deepEqual(await Promise.all([0, 1, 2].map((position) => kv.append(fresh, position, Buffer.from('e')))), [
    true,
    true,
    true,
  ])
  assert.equal((await kv.read(fresh, -1, 10)).length, 3)
  assert.equal(await kv.put(stayed, Buffer.from('w')), 2)
})

test('a node that is killed: its keys are out of reach until it is back, and signals with them', { skip }, async () => {
  const cluster = shared()
  await using store = await open(cluster.url)
  const { kv } = store
  const [, victim] = cluster.nodes
  assert.ok(victim)
  const at = await keyOn(victim, cluster.nodes)
  const heard: string[] = []
  const stop = await kv.listen(at, (payload) => heard.push(payload))
  assert.equal(await kv.put(at, Buffer.from('v')), 1)

  // The others notice as well.
  await configure(cluster.nodes, 'cluster-node-timeout', 2000)
  await victim.kill()
  await until(() => !kv.reachable)
  await assert.rejects(kv.put(at, Buffer.from('v')), { code: 'state_unavailable' })
  await victim.start()
  await until(() => kv.reachable)
  await until(async () => (await kv.put(at, Buffer.from('v')).catch(() => undefined)) !== undefined)
  await until(async () => {
    await kv.signal(at, 'back')
    return heard.includes('back')
  })
  assert.equal(kv.fault, undefined)
  await configure(cluster.nodes, 'cluster-node-timeout', 60_000)
  stop()
})

test('a node that is killed takes no key of the others with it', { skip }, async () => {
  const { url, nodes } = shared()
  await using store = await open(url)
  const { kv } = store
  const [first, , third] = nodes
  assert.ok(first && third)
  await configure(nodes, 'cluster-require-full-coverage', 'no')
  const at = await keyOn(third, nodes)
  await first.kill()
  await until(() => !kv.reachable)
  for (let version = 1; version <= 20; version++) {
    assert.equal(await kv.put(at, Buffer.from('v')), version)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  await first.start()
  await until(() => kv.reachable)
  await configure(nodes, 'cluster-require-full-coverage', 'yes')
})

test('a cluster named as a single server is a fault, and the other way round', { skip }, async () => {
  const cluster = shared()
  await using single = await startRedis()
  const asSingle = await openKv({
    env: { engine: 'redis', url: cluster.url, cluster: false, auth: 'url' },
    clock: systemClock,
    ...{ log, tokens, patienceMs: 500 },
  })
  await until(() => asSingle.fault !== undefined)
  assert.match(asSingle.fault ?? '', /is a cluster/)
  await asSingle.close()
  const asCluster = await open(single.url, 500)
  await until(() => asCluster.kv.fault !== undefined)
  assert.equal(asCluster.kv.reachable, false)
  assert.match(asCluster.kv.fault ?? '', /is none/)
  await assert.rejects(asCluster.kv.get(somewhere()), { code: 'state_unavailable' })
  await asCluster.kv.close()
})

async function open(url: string, patienceMs = 60_000): Promise<{ kv: Kv } & AsyncDisposable> {
  const engine = new RedisEngine({
    ...{ url: () => url, cluster: true, credential: undefined, clock: systemClock, log },
    // That a server is silent for a while is nothing that these are about.
    commandTimeoutMs: 60_000,
  })
  await engine.connect(patienceMs)
  const kv = createKv(engine)
  return { kv, [Symbol.asyncDispose]: () => kv.close() }
}

/** As many as are on their way at any time: more would make what moves longer, the longer it takes. */
const lanes = 64

/** Appends until it is ended, or one fails. */
function startWriter(kv: Kv, at: Key) {
  const refused: number[] = []
  const onTheirWay = new Set<Promise<void>>()
  let count = 0
  let isWriting = true
  let hasFailed = false
  const append = async () => {
    const position = count++
    if (!(await kv.append(at, position, Buffer.from(String(position))))) refused.push(position)
  }
  const write = async () => {
    while (isWriting) {
      const appended = append()
      onTheirWay.add(appended)
      await appended
      onTheirWay.delete(appended)
    }
  }
  const written = Promise.all(Array.from({ length: lanes }, write))
  written.catch(() => {
    isWriting = false
    hasFailed = true
  })
  const end = async () => {
    isWriting = false
    await written
  }
  return {
    refused,
    get count() {
      return count
    },
    get hasFailed() {
      return hasFailed
    },
    /** Once all that is on its way now is answered. */
    settled: async () => void (await Promise.all(onTheirWay)),
    end,
    [Symbol.asyncDispose]: () => end().catch(() => {}),
  }
}

async function configure(nodes: readonly RedisServer[], name: string, value: string | number): Promise<void> {
  for (const node of nodes) await command(node.url, 'CONFIG', 'SET', name, value)
}

/** The node that has the slot, and one that has not. */
async function ownersFor(slot: number, nodes: readonly RedisServer[]): Promise<[RedisServer, RedisServer]> {
  const counted = await Promise.all(
    nodes.map(async (node) => ({
      node,
      owns: await command(node.url, 'CLUSTER', 'COUNTKEYSINSLOT', slot).then(() => owns(node, slot)),
    })),
  )
  const from = counted.find(({ owns: has }) => has)?.node
  const to = counted.find(({ owns: has }) => !has)?.node
  if (!from || !to) throw new Error('the slot has no owner')
  return [from, to]
}

async function owns(node: RedisServer, slot: number): Promise<boolean> {
  const myself = String(await command(node.url, 'CLUSTER', 'NODES'))
    .split('\n')
    .find((line) => line.includes('myself'))
  return (myself?.split(' ').slice(8) ?? []).some((range) => {
    const [first, last = first] = range.split('-').map(Number)
    return first !== undefined && last !== undefined && first <= slot && slot <= last
  })
}

async function keyOn(node: RedisServer, nodes: readonly RedisServer[]) {
  for (;;) {
    const at = somewhere()
    if ((await ownersFor(slotOf(at), nodes))[0] === node) return at
  }
}

async function setMigrating(
  slot: number,
  from: RedisServer,
  to: RedisServer,
): Promise<{ fromId: string; toId: string }> {
  const [fromId, toId] = await Promise.all(
    [from, to].map(async ({ url }) => String(await command(url, 'CLUSTER', 'MYID'))),
  )
  if (!fromId || !toId) throw new Error('a node without an id')
  await command(to.url, 'CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId)
  await command(from.url, 'CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId)
  return { fromId, toId }
}

async function moveSlot(slot: number, from: RedisServer, to: RedisServer): Promise<void> {
  const { toId } = await setMigrating(slot, from, to)
  const { hostname, port } = new URL(to.url)
  for (;;) {
    const keys = (await command(from.url, 'CLUSTER', 'GETKEYSINSLOT', slot, 100)) as string[]
    if (keys.length === 0) break
    await command(from.url, 'MIGRATE', hostname, port, '', 0, 60_000, 'KEYS', ...keys)
  }
  for (const node of [to, from]) await command(node.url, 'CLUSTER', 'SETSLOT', slot, 'NODE', toId)
  // Were it to move back before, whoever has it now would say so under the higher epoch, and be believed.
  const epoch = await epochOf(toId, to)
  await until(async () => (await epochOf(toId, from)) === epoch)
}

/** The configuration of a node that another knows of. */
async function epochOf(id: string, as: RedisServer): Promise<string | undefined> {
  const nodes = String(await command(as.url, 'CLUSTER', 'NODES')).split('\n')
  return nodes.find((line) => line.startsWith(id))?.split(' ')[6]
}
