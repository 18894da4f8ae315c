import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import type { ConfigDocument } from '#config/document.ts'
import { chatConfig, upstreamModel } from '../support/chat-config.ts'
import { collect, nativeClient, textOf } from '../support/native-client.ts'
import { type Replica, startReplica } from '../support/replica.ts'
import { type SharedEngines, startSharedEngines } from '../support/shared-engines.ts'
import type { SseEvent } from '../support/sse.ts'
import { type Plan, startUpstream, type Upstream } from '../support/upstream.ts'
import { madeUpPieces } from '../support/upstream-plan.ts'

let engines: SharedEngines
let upstream: Upstream
let folder: string
let replicas: Replica[] = []

/** Two that live; those that earlier tests have left go on, since starting one takes its time. */
async function twoReplicas(): Promise<Replica[]> {
  replicas = replicas.filter(({ process: { exitCode, signalCode } }) => exitCode === null && signalCode === null)
  const started = await Promise.all(
    Array.from({ length: 2 - replicas.length }, () =>
      startReplica({
        ...engines.variables,
        PARLEY_CONFIG_DIR: folder,
        PARLEY_DATA_DIR: path.join(folder, 'data'),
        PARLEY_EGRESS_HOSTS: upstream.host,
        PARLEY_TURN_LEASE_MS: '5000',
        PARLEY_DRAIN_MS: '300',
      }),
    ),
  )
  replicas.push(...started)
  return replicas
}

before(async () => {
  engines = await startSharedEngines()
  upstream = await startUpstream()
  folder = await mkdtemp(path.join(tmpdir(), 'parley-takeover-'))
  const config: ConfigDocument = chatConfig({ primary: upstreamModel('primary', upstream.baseUrl) })
  await writeFile(path.join(folder, 'v1.json'), JSON.stringify(config))
})

after(async () => {
  await Promise.all(replicas.map((replica) => replica.kill()))
  replicas = []
  await upstream.close()
  await engines[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

const answer = madeUpPieces(60).join('')
/** Half of it, and no more as long as its reader lives. */
const unfinished: Plan = { tokens: 60, pace: 60, held: { at: 30, until: new Promise(() => {}) } }

async function takeUntil(events: AsyncGenerator<SseEvent>, tokens: number): Promise<SseEvent[]> {
  const seen: SseEvent[] = []
  for (;;) {
    const { value, done } = await events.next()
    if (done) return seen
    seen.push(value)
    if (seen.filter(({ type }) => type === 'token').length >= tokens) return seen
  }
}

test('a turn is followed and cancelled from another replica', async () => {
  const [one, two] = await twoReplicas()
  assert.ok(one && two)
  const here = nativeClient(one.url)
  const there = nativeClient(two.url)
  const conversation = await here.conversation('plain')
  const first = await here.stream(conversation, 'mock: tokens=60 pace=200')
  const [seen, followed] = await Promise.all([
    collect(first.events),
    there.resume(first.turn).then((events) => collect(events)),
  ])
  assert.deepEqual(followed, seen)
  assert.equal(textOf(seen), answer)

  const second = await here.stream(conversation, 'mock: tokens=5000 pace=100')
  await takeUntil(second.events, 5)
  assert.equal((await there.call('POST', `/api/v1/turns/${second.turn}/cancel`)).status, 202)
  await upstream.requests.at(-1)?.closed
  assert.notEqual(upstream.requests.at(-1)?.abortedAt, undefined)
  assert.equal((await collect(second.events)).at(-1)?.type, 'turn.cancelled')
})

test('a killed producer is succeeded: every reader gets the rest, nothing lost, nothing twice', async () => {
  const [one, two] = await twoReplicas()
  assert.ok(one && two)
  const there = nativeClient(two.url)
  const conversation = await nativeClient(one.url).conversation('plain')
  upstream.plan = [unfinished, { tokens: 60, pace: 60 }]
  const { turn, events } = await nativeClient(one.url).stream(conversation, 'hello')
  const first = await takeUntil(events, 10)
  const follower = there.resume(turn).then((followed) => collect(followed))
  await one.kill()
  await assert.rejects(async () => collect(events))

  const rest = await collect(await there.resume(turn, first.at(-1)?.id))
  assert.equal(rest.at(-1)?.type, 'turn.completed')
  assert.equal(textOf([...first, ...rest]), answer)
  const seam = rest.find(({ type }) => type === 'segment')
  assert.deepEqual(seam?.data, { model: 'primary', reason: 'producer_lost', reset: true })
  const whole = await follower
  assert.deepEqual(whole, await collect(await there.resume(turn)))
  assert.equal(textOf(whole), answer)

  const { body } = await there.call('GET', `/api/v1/turns/${turn}`)
  const lost = body.receipt.segments[0]
  assert.deepEqual([lost.outcome, lost.reason, lost.estimated], ['failed', 'producer_lost', true])
  assert.ok(lost.outputTokens > 0)
  const { body: messages } = await there.call('GET', `/api/v1/conversations/${conversation}/messages`)
  assert.equal(messages.items.length, 2)
})

test('an action that was called before the producer died is not called again', async () => {
  const calling: Plan = { toolCalls: [{ name: 'calculate', arguments: '{"expression":"6*7"}' }] }
  const answers = [unfinished, { tokens: 60, pace: 60 }]
  upstream.plan = ({ messages }) => (JSON.stringify(messages).includes('"role":"tool"') ? answers.shift() : calling)
  const [one, two] = await twoReplicas()
  assert.ok(one && two)
  const before = upstream.requests.length
  const conversation = await nativeClient(one.url).conversation('helper')
  const { turn, events } = await nativeClient(one.url).stream(conversation, 'what is six times seven?')
  await takeUntil(events, 5)
  await one.kill()
  const whole = await collect(await nativeClient(two.url).resume(turn))
  upstream.plan = []
  assert.equal(textOf(whole), answer)
  assert.equal(whole.filter(({ type }) => type === 'call').length, 1)
  const asked = upstream.requests.slice(before).filter(({ plan }) => plan === calling)
  assert.equal(asked.length, 1)
  await assert.rejects(async () => collect(events))
})

test('a replica that is told to stop hands its turns over at once, and exits with 0', async () => {
  const [one, two] = await twoReplicas()
  assert.ok(one && two)
  const conversation = await nativeClient(one.url).conversation('plain')
  upstream.plan = [unfinished, { tokens: 60, pace: 60 }]
  const { turn, events } = await nativeClient(one.url).stream(conversation, 'hello')
  const first = await takeUntil(events, 5)
  const exit = one.terminate()
  const left = await collect(events)
  const rest = await collect(await nativeClient(two.url).resume(turn, [...first, ...left].findLast(({ id }) => id)?.id))
  assert.equal(await exit, 0)
  assert.equal(rest.at(-1)?.type, 'turn.completed')
  assert.equal(textOf([...first, ...left, ...rest]), answer)
})
