import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { createLog } from '#log.ts'
import { type Clock, systemClock } from '#platform/clock.ts'
import { createKv } from '#platform/kv/create-kv.ts'
import { key } from '#platform/kv/kv.ts'
import { openKv } from '#platform/kv/open.ts'
import { RedisEngine } from '#platform/kv/redis.ts'
import { isSettledAtOnce } from '../support/at-once.ts'
import { manualClock } from '../support/clock.ts'
import { command, noOwnRedis, startRedis } from '../support/redis.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'
import { program, steps } from './kv/program.ts'
import { somewhere, until } from './kv/under-test.ts'

/** What only Redis can suffer. */

const log = createLog('silent')
const tokens = { token: async () => ({ token: '', expiresAt: 0 }) }
const skip = await noOwnRedis()
const unavailable = { code: 'state_unavailable' }

test('a server that is killed: what is on its way is refused, then all at once, until it is back', {
  skip,
}, async () => {
  await using server = await startRedis()
  await using store = await open(server.url)
  const { kv } = store
  const at = somewhere()
  const heard: string[] = []
  let gaps = 0
  const stop = await kv.listen(
    at,
    (payload) => heard.push(payload),
    () => {
      gaps += 1
    },
  )
  await kv.put(at, Buffer.from('v'))

  await server.pause()
  const onTheirWay = Array.from({ length: 50 }, () => kv.put(at, Buffer.from('w')))
  const refused = Promise.allSettled(onTheirWay)
  await nextTurn()
  await server.kill()
  for (const result of await refused) {
    assert.equal(result.status === 'rejected' && result.reason.code, 'state_unavailable')
  }
  await until(() => !kv.reachable)
  const got = kv.get(at)
  assert.equal(await isSettledAtOnce(got), true)
  await assert.rejects(got, unavailable)
  await assert.rejects(
    kv.listen(somewhere(), () => {}),
    unavailable,
  )

  await server.start()
  await until(() => kv.reachable)
  assert.equal(await kv.put(at, Buffer.from('new'), { ifVersion: 0 }), 1)
  await until(async () => {
    await kv.signal(at, 'back')
    return heard.includes('back')
  })
  await until(() => gaps > 0)
  assert.ok(gaps > 0)
  stop()
})

test('a server that falls silent is out of reach after the command timeout, and back by itself', { skip }, async () => {
  await using server = await startRedis()
  await using store = await open(server.url, { commandTimeoutMs: 200 })
  const { kv } = store
  const at = somewhere()
  await kv.put(at, Buffer.from('v'))

  await server.pause()
  const before = performance.now()
  await assert.rejects(kv.get(at), unavailable)
  assert.ok(performance.now() - before >= 150)
  assert.equal(kv.reachable, false)
  const again = kv.get(at)
  assert.equal(await isSettledAtOnce(again), true)
  await assert.rejects(again, unavailable)

  await server.resume()
  await until(() => kv.reachable)
  assert.equal((await kv.get(at))?.value.toString(), 'v')
})

test('a connection that is used all the time notices the silence as well', { skip }, async () => {
  await using server = await startRedis()
  await using store = await open(server.url, { commandTimeoutMs: 200 })
  const { kv } = store
  const at = somewhere()
  const outcomes: unknown[] = []
  const ticker = setInterval(() => {
    void kv.put(at, Buffer.from('v')).then(
      () => outcomes.push('ok'),
      (error) => outcomes.push(error.code),
    )
  }, 5)
  await until(() => outcomes.length > 60 && outcomes.slice(-40).every((outcome) => outcome === 'ok'))
  await server.pause()
  await until(() => outcomes.includes('state_unavailable'))
  await server.resume()
  await until(() => outcomes.at(-1) === 'ok')
  assert.deepEqual(new Set(outcomes), new Set(['ok', 'state_unavailable']))
  clearInterval(ticker)
})

for (const [state, leave] of [
  ['away', (server: Awaited<ReturnType<typeof startRedis>>) => server.kill()],
  ['silent', (server: Awaited<ReturnType<typeof startRedis>>) => server.pause()],
] as const) {
  test(`a server that is ${state} at the start: opening resolves all the same, and it recovers`, { skip }, async () => {
    await using server = await startRedis()
    await leave(server)
    const env = { engine: 'redis', url: server.url, cluster: false, auth: 'url' } as const
    const kv = await openKv({ env, patienceMs: 500, clock: systemClock, log, tokens })
    assert.equal(kv.reachable, false)
    await assert.rejects(kv.get(somewhere()), unavailable)
    await (state === 'away' ? server.start() : server.resume())
    await until(() => kv.reachable)
    assert.equal(await kv.put(somewhere(), Buffer.from('v')), 1)
    await kv.close()
  })
}

test('a call whose connection breaks before the answer is refused, and not made again', async () => {
  await using server = await startRedis()
  const { hostname, port } = new URL(server.url)
  await using proxy = await startTcpProxy({ host: hostname, port: Number(port) })
  await using store = await open(`redis://127.0.0.1:${proxy.port}`)
  await using direct = await open(server.url)
  const { kv } = store
  const at = somewhere()
  const count = () => kv.run(program, [at], [steps({ do: 'increment', key: 0, field: 'n', by: 1 })])
  assert.deepEqual(await count(), [1])
  proxy.muteServer()
  const counted = assert.rejects(count(), unavailable)
  const counts = () => direct.kv.run(program, [at], [steps({ do: 'get', key: 0, field: 'n' })])
  await until(async () => String((await counts())[0]) === '2')
  proxy.cut()
  await counted
  await until(() => kv.reachable)
  assert.deepEqual(await count(), [3])
})

test('all calls of a tick leave in one piece', async () => {
  await using server = await startRedis()
  const { hostname, port } = new URL(server.url)
  await using proxy = await startTcpProxy({ host: hostname, port: Number(port) })
  await using store = await open(`redis://127.0.0.1:${proxy.port}`)
  const { kv } = store
  const logs = Array.from({ length: 200 }, somewhere)
  await kv.append(somewhere(), 0, Buffer.from('first'))
  const before = proxy.received
  const body = Buffer.alloc(50)
  assert.ok((await Promise.all(logs.map((at) => kv.append(at, 0, body)))).every(Boolean))
  // What is larger than a socket's buffer may arrive in more than one.
  assert.ok(proxy.received - before <= 3, `${proxy.received - before} pieces`)
})

test('scripts that the server has lost are sent again, and nothing overtakes', { skip }, async () => {
  await using server = await startRedis()
  await using store = await open(server.url)
  const { kv } = store
  const partition = randomUUID()
  const at = key(partition, 'log')
  let flushing = true
  const flusher = (async () => {
    while (flushing) await command(server.url, 'SCRIPT', 'FLUSH')
  })()
  const write = async () => {
    const appended: Promise<boolean>[] = []
    for (let position = 0; position < 2000; position++) {
      appended.push(kv.append(at, position, Buffer.from(String(position))))
      if (position % 3 === 0) await nextTurn()
      if (position % 11 === 0) appended.push(kv.signal(at).then(() => true))
      if (position % 100 === 0) assert.ok((await Promise.all(appended.splice(0))).every(Boolean))
    }
    assert.ok((await Promise.all(appended)).every(Boolean))
  }
  await write().finally(() => {
    flushing = false
  })
  await flusher
  assert.equal((await kv.read(at, 999, 1000)).length, 1000)

  await command(server.url, 'SCRIPT', 'FLUSH')
  assert.equal(await kv.put(key(partition, 'value'), Buffer.from('v')), 1)
})

test('a server that is behind, but answers, is not given up; one that says nothing is', { skip }, async () => {
  await using server = await startRedis()
  const clock = manualClock()
  await using store = await open(server.url, { clock, commandTimeoutMs: 1000 })
  const { kv } = store
  await kv.put(somewhere(), Buffer.from('v'))
  await server.pause()
  const body = Buffer.alloc(2000)
  const calls = Array.from({ length: 5000 }, () => kv.put(somewhere(), body))
  const all = Promise.all(calls)
  await nextTurn()
  clock.advance(900)
  await server.resume()
  // As if the others took longer than that.
  await calls[0]?.then(() => clock.advance(200))
  assert.deepEqual(new Set(await all), new Set([1]))

  await server.pause()
  const unanswered = kv.put(somewhere(), Buffer.from('v'))
  await nextTurn()
  clock.advance(2001)
  await assert.rejects(unanswered, unavailable)
  await server.resume()
})

test('a policy that evicts is a fault, until the server is configured as it must be', { skip }, async () => {
  await using server = await startRedis({ args: ['--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-lru'] })
  await using store = await open(server.url)
  const { kv } = store
  assert.match(kv.fault ?? '', /maxmemory-policy is allkeys-lru/)
  assert.equal(kv.reachable, true)
  await command(server.url, 'CONFIG', 'SET', 'maxmemory-policy', 'noeviction')
  await command(server.url, 'CLIENT', 'KILL', 'TYPE', 'normal')
  await until(() => kv.reachable && kv.fault === undefined)
  assert.equal(kv.fault, undefined)
})

test('a server without memory left refuses as out of reach, and takes calls again', { skip }, async () => {
  await using server = await startRedis({ args: ['--maxmemory', '4mb', '--maxmemory-policy', 'noeviction'] })
  await using store = await open(server.url)
  const { kv } = store
  const full = await Promise.allSettled(Array.from({ length: 8 }, () => kv.put(somewhere(), Buffer.alloc(900_000))))
  const refused = full.filter((result) => result.status === 'rejected')
  assert.ok(refused.length > 0)
  for (const { reason } of refused) assert.equal(reason.code, 'state_unavailable')
  await command(server.url, 'CONFIG', 'SET', 'maxmemory', '100mb')
  assert.equal(await kv.put(somewhere(), Buffer.from('v')), 1)
})

test('a wrong password leaves the store out of reach', { skip }, async () => {
  await using server = await startRedis({ args: ['--requirepass', 'right'] })
  await using wrong = await open(server.url.replace('//', '//:wrong@'), { patienceMs: 500 })
  assert.equal(wrong.kv.reachable, false)
  await using right = await open(server.url.replace('//', '//default:right@'))
  assert.equal(await right.kv.put(somewhere(), Buffer.from('v')), 1)
})

test('a body of Lua that fails is an internal error', async () => {
  await using server = await startRedis()
  await using store = await open(server.url)
  const faulty = { name: `test.faulty-${randomUUID()}`, lua: 'error("no")', twin: () => [], decode: () => undefined }
  await assert.rejects(store.kv.run(faulty, [somewhere()], []), { code: 'internal' })
  const unreadable = { ...faulty, name: `test.unreadable-${randomUUID()}`, lua: 'this is no Lua' }
  await assert.rejects(store.kv.run(unreadable, [somewhere()], []), { code: 'internal' })
  assert.equal(await store.kv.put(somewhere(), Buffer.from('v')), 1)
})

test('two operations cannot share a name', async () => {
  await using server = await startRedis()
  await using store = await open(server.url)
  const name = `test.name-${randomUUID()}`
  const first = { name, lua: 'return {1}', twin: () => [1], decode: ([reply]: readonly unknown[]) => reply }
  assert.equal(await store.kv.run(first, [somewhere()], []), 1)
  assert.equal(await store.kv.run({ ...first }, [somewhere()], []), 1)
  await assert.rejects(store.kv.run({ ...first, lua: 'return {2}' }, [somewhere()], []), RangeError)
})

interface OpenOptions {
  clock?: Clock
  commandTimeoutMs?: number
  patienceMs?: number
}

async function open(url: string, { patienceMs = 60_000, ...options }: OpenOptions = {}) {
  const engine = new RedisEngine({
    ...{ url: () => url, cluster: false, credential: undefined, clock: systemClock, log },
    ...options,
  })
  await engine.connect(patienceMs)
  const kv = createKv(engine)
  return { kv, [Symbol.asyncDispose]: () => kv.close() }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
