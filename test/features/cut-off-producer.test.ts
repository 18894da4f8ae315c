import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startApp } from '../support/app.ts'
import { chatConfig, upstreamModel } from '../support/chat-config.ts'
import { collect, nativeClient, textOf } from '../support/native-client.ts'
import { startSharedEngines } from '../support/shared-engines.ts'
import type { SseEvent } from '../support/sse.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'
import { startUpstream } from '../support/upstream.ts'
import { madeUpPieces } from '../support/upstream-plan.ts'

interface Heard {
  at: number
  event: SseEvent
}

async function listen(events: AsyncIterable<SseEvent>, heard: Heard[]): Promise<void> {
  for await (const event of events) heard.push({ at: performance.now(), event })
}

test('a producer cut off from the store and its successor never both speak', async () => {
  await using opened = new AsyncDisposableStack()
  const engines = opened.use(await startSharedEngines())
  const { redis } = engines
  const network = opened.use(await startTcpProxy({ host: '127.0.0.1', port: Number(new URL(redis.url).port) }))
  const upstream = await startUpstream()
  opened.defer(() => upstream.close())
  const start = (url: string) =>
    startApp({
      config: chatConfig({ primary: upstreamModel('primary', upstream.baseUrl) }),
      variables: {
        ...engines.variables,
        REDIS_URL: url,
        PARLEY_EGRESS_HOSTS: upstream.host,
        PARLEY_TURN_LEASE_MS: '5000',
      },
    })
  const cutOff = opened.use(await start(`redis://127.0.0.1:${network.port}`))
  const heir = opened.use(await start(redis.url))

  const conversation = await nativeClient(cutOff.url).conversation('plain')
  const { turn, events } = await nativeClient(cutOff.url).stream(conversation, 'mock: tokens=300 pace=60')
  const first: Heard[] = []
  const second: Heard[] = []
  const hearing = listen(events, first)
  const following = nativeClient(heir.url)
    .resume(turn)
    .then((followed) => listen(followed, second))
  while (first.filter(({ event }) => event.type === 'token').length < 20) await new Promise(setImmediate)
  network.break()
  const cutAt = performance.now()
  await Promise.all([hearing, following])

  // The old producer's reader was told, and nothing that the log does not hold came to it with an id.
  assert.equal(first.at(-1)?.event.type, 'turn.failed')
  const withIds = first.filter(({ event }) => event.id !== undefined).map(({ event }) => event)
  const whole = await collect(await nativeClient(heir.url).resume(turn))
  assert.deepEqual(withIds, whole.slice(0, withIds.length))

  // The successor spoke only after the old one had fallen silent.
  const lastOfOld = first.findLast(({ event }) => event.type === 'token')?.at ?? 0
  const seam = second.find(({ event }) => event.type === 'segment')
  assert.ok(seam && lastOfOld > cutAt, 'both have spoken')
  assert.ok(seam.at > lastOfOld, 'the successor spoke while the old producer did')
  assert.equal(whole.at(-1)?.type, 'turn.completed')
  // Who follows may hear some of it without ids, on a machine that stalls for longer than an append may take.
  for (const heard of [whole, second.map(({ event }) => event)]) {
    assert.equal(textOf(heard), madeUpPieces(300).join(''))
  }

  // Back among the living, it writes nothing more to a turn that is not its own.
  network.mend()
  while ((await nativeClient(cutOff.url).call('GET', '/api/v1/conversations')).status !== 200)
    await new Promise(setImmediate)
  assert.deepEqual(await collect(await nativeClient(cutOff.url).resume(turn)), whole)
})
