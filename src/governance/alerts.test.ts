import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { createEvents } from '#events/events.ts'
import { createKv } from '#platform/kv/create-kv.ts'
import { SqliteEngine } from '#platform/kv/sqlite.ts'
import { capturedLog } from '../../test/support/captured-log.ts'
import { manualClock } from '../../test/support/clock.ts'
import type { Alert, Channel } from './alerts/alert.ts'
import { openAlerts } from './alerts.ts'

const MINUTE = 60_000
const everywhere = { info: ['log'], warning: ['log', 'webhook'], critical: ['log', 'webhook', 'email'] } as const
const reached = (percent: number) => ({ tenant: 't', scope: 'user:t:ana', percent, spentUsd: 1, limitUsd: 1, at: 1 })

/** Replicas over one store, whose channels do as the test says. */
function site(t: TestContext) {
  const clock = manualClock()
  const { log } = capturedLog()
  const kv = createKv(new SqliteEngine({ path: ':memory:', clock, log }))
  t.after(() => kv.close())
  const told: string[] = []
  const site = {
    told,
    clock,
    kv,
    /** Whether a channel takes what it is told. */
    takes: (_channel: Channel, _alert: Alert): Promise<void> | void => {},
    replica(store: Parameters<typeof openAlerts>[0]['kv'] = kv) {
      const { log, lines } = capturedLog()
      const events = createEvents(log)
      const sender = (channel: Channel) => async (alert: Alert) => {
        await site.takes(channel, alert)
        told.push(`${channel} ${alert.kind === 'budget.reached' ? alert.percent : alert.kind} ${alert.id}`)
      }
      const senders = { webhook: sender('webhook'), email: sender('email') }
      const alerts = openAlerts({ events, kv: store, clock, log, channels: everywhere, senders, random: () => 1 })
      t.after(() => alerts.close())
      return { alerts, lines, events, raise: (percent: number) => events.emit('budget.reached', reached(percent)) }
    },
    /** Turns the clock, and lets what is due be done. */
    async pass(ms: number) {
      for (let left = ms; left > 0; left -= 5000) {
        clock.advance(Math.min(left, 5000))
        await site.settle()
      }
    },
    async settle() {
      for (let turns = 0; turns < 50; turns++) await setImmediate()
    },
  }
  return site
}

const channelsOf = (told: readonly string[]) => told.map((line) => line.split(' ').slice(0, 2).join(' ')).sort()

test('each severity is told where it belongs, once, and of people by pseudonym', async (t) => {
  const { replica, told, settle, pass } = site(t)
  const { raise, lines, alerts } = replica()
  for (const percent of [70, 85, 95]) raise(percent)
  await settle()
  assert.deepEqual(channelsOf(told), ['email 95', 'webhook 85', 'webhook 95'])
  await pass(10 * MINUTE)
  assert.equal(told.length, 3)
  assert.deepEqual(
    lines.map(({ level, percent }) => [level, percent]),
    [
      [30, 70],
      [40, 85],
      [50, 95],
    ],
  )
  assert.doesNotMatch(JSON.stringify([lines, told]), /ana/)
  assert.deepEqual(alerts.figures().raised, [
    { severity: 'info', kind: 'budget.reached', count: 1 },
    { severity: 'warning', kind: 'budget.reached', count: 1 },
    { severity: 'critical', kind: 'budget.reached', count: 1 },
  ])
})

test('a rollout that takes itself back or waits for a person is told of, and what a person decided less loudly', async (t) => {
  const { replica, told, settle } = site(t)
  const { events, lines } = replica()
  const move = { tenant: 't', rollout: 'roll_1', candidate: 'v2', from: 'canary 1/3 (5 %)', at: 1 }
  const worse = 'turn errors: 9 of 60 against 1 of 940'
  events.emit('rollout.moved', { ...move, to: 'rolled-back', because: worse })
  events.emit('rollout.moved', { ...move, to: 'paused', because: 'No traffic.' })
  events.emit('rollout.moved', { ...move, to: 'rolled-back', because: null, at: 2 })
  events.emit('rollout.moved', { ...move, to: 'canary 2/3 (25 %)', because: 'It holds.' })
  events.emit('rollout.moved', { ...move, from: 'paused', to: 'paused', because: 'Another baseline.' })
  await settle()
  assert.deepEqual(channelsOf(told), ['webhook rollout.paused', 'webhook rollout.rolled-back'])
  assert.deepEqual(lines.map(({ level, kind, because }) => `${level} ${kind} ${because}`).sort(), [
    '30 rollout.rolled-back null',
    '40 rollout.paused No traffic.',
    `40 rollout.rolled-back ${worse}`,
  ])
})

test('a step of a rollout is told of once, however many replicas hear of it, and a state that others wrote once an hour', async (t) => {
  const { replica, told, settle, clock } = site(t)
  const replicas = [replica(), replica(), replica()]
  const tell = async () => {
    for (const { events } of replicas) {
      const move = { tenant: 't', rollout: 'roll_1', candidate: 'v2', from: 'paused', to: 'rolled-back', at: 1 }
      events.emit('rollout.moved', { ...move, because: 'Bad.' })
      events.emit('rollout.strayed', { tenant: 't', state: 'unreadable', at: clock.now() })
      await settle()
    }
  }
  await tell()
  await tell()
  assert.deepEqual(channelsOf(told), ['webhook rollout.rolled-back', 'webhook rollout.strayed'])
  clock.advance(3_600_001)
  for (const { events } of replicas) {
    events.emit('rollout.strayed', { tenant: 't', state: 'unreadable', at: clock.now() })
  }
  await settle()
  assert.deepEqual(channelsOf(told).slice(1), ['webhook rollout.strayed', 'webhook rollout.strayed'])
})

test('of runs of an action in the dead letters it is told once an hour, by whichever replica', async (t) => {
  const { replica, told, settle, clock } = site(t)
  const [one, other] = [replica(), replica()]
  const settled = {
    config: 'v1',
    arm: 'stable',
    cohort: '',
    unit: 'u',
    principal: 'p',
    tenant: 't',
    settledAt: 1,
  } as const
  const settle1 = async (events: typeof one.events, run: string, action: string, more: object = {}) => {
    events.emit('run.settled', {
      ...{ ...settled, run, action, status: 'dead-lettered', reason: 'target_refused' },
      ...more,
    })
    await settle()
  }
  await settle1(one.events, 'run_1', 'create_ticket')
  await settle1(other.events, 'run_2', 'create_ticket')
  await settle1(one.events, 'run_3', 'close_ticket', { status: 'failed' })
  await settle1(one.events, 'run_4', 'close_ticket')
  const runs = () =>
    [...one.lines, ...other.lines].filter(({ kind }) => kind === 'run.dead-lettered').map(({ run }) => run)
  assert.deepEqual(runs(), ['run_1', 'run_4'])
  assert.deepEqual(channelsOf(told), ['webhook run.dead-lettered', 'webhook run.dead-lettered'])
  clock.advance(3_600_001)
  await settle1(one.events, 'run_5', 'create_ticket')
  assert.deepEqual(runs(), ['run_1', 'run_4', 'run_5'])
  await settle1(other.events, 'run_6', 'create_ticket', { tenant: 'guest' })
  assert.deepEqual(runs(), ['run_1', 'run_4', 'run_5', 'run_6'])
  // Who cannot tell whether it was told tells it, once.
  const away = () => Promise.reject(new Error('away'))
  const lonely = replica({ get: away, put: away })
  told.length = 0
  for (let run = 7; run < 100; run++) await settle1(lonely.events, `run_${run}`, 'create_ticket')
  const ofLonely = () => lonely.lines.filter(({ kind }) => kind === 'run.dead-lettered').map(({ run }) => run)
  assert.deepEqual(ofLonely(), ['run_7'])
  assert.deepEqual(channelsOf(told), ['webhook run.dead-lettered'])
  clock.advance(3_600_001)
  await settle1(lonely.events, 'run_100', 'create_ticket')
  assert.deepEqual(ofLonely(), ['run_7', 'run_100'])
})

test('what is told once an hour is kept before it is marked: a replica that dies over it leaves it to the others', async (t) => {
  const world = site(t)
  const { kv } = world
  let isDead = false
  const dying = world.replica({
    get: (at) => (isDead ? new Promise(() => {}) : kv.get(at)),
    put: (at, ...rest) => {
      isDead ||= at.includes('told:')
      return isDead ? new Promise(() => {}) : kv.put(at, ...rest)
    },
  })
  // Else it would wait for what never ends.
  t.mock.method(dying.alerts, 'close', async () => {})
  const fact = { tenant: 't', seq: 7, because: 'changed', at: 1 }
  dying.events.emit('audit.broken', fact)
  await world.settle()
  assert.deepEqual([isDead, world.told], [true, []])
  const others = [world.replica(), world.replica()]
  await world.pass(3 * MINUTE)
  assert.deepEqual(channelsOf(world.told), ['email audit.broken', 'webhook audit.broken'])
  // Two that come across it at once tell of it once.
  for (const { events } of others) events.emit('audit.broken', { ...fact, seq: 8 })
  await world.pass(3 * MINUTE)
  assert.equal(world.told.length, 4, String(world.told))
})

test('a kill-switch, an audit log that does not hold and an identity provider that is away are told of as badly as they are', async (t) => {
  const { replica, told, settle } = site(t)
  const { events, alerts } = replica()
  events.emit('kill-switch.set', { tenant: 't', scope: 'model:primary', at: 1 })
  events.emit('kill-switch.set', { tenant: 't', scope: 'all', at: 1 })
  for (let time = 0; time < 2; time++) {
    events.emit('audit.broken', { tenant: 't', seq: 7, because: 'changed', at: 1 })
    const away = { tenant: 't', isOver: false, at: 1 }
    for (const hasKeys of [true, false]) events.emit('identity.away', { ...away, hasKeys })
    await settle()
    events.emit('identity.away', { ...away, hasKeys: true, isOver: true })
    await settle()
  }
  assert.deepEqual(alerts.figures().raised, [
    { severity: 'warning', kind: 'kill-switch.set', count: 1 },
    { severity: 'critical', kind: 'kill-switch.set', count: 1 },
    { severity: 'critical', kind: 'audit.broken', count: 1 },
    { severity: 'warning', kind: 'identity.away', count: 1 },
    { severity: 'critical', kind: 'identity.away', count: 1 },
    { severity: 'info', kind: 'identity.back', count: 1 },
  ])
  assert.deepEqual(channelsOf(told), [
    'email audit.broken',
    'email identity.away',
    'email kill-switch.set',
    'webhook audit.broken',
    'webhook identity.away',
    'webhook identity.away',
    'webhook kill-switch.set',
    'webhook kill-switch.set',
  ])
})

test('a channel that does not take it is asked again, later and later, and the others are not told twice', async (t) => {
  const world = site(t)
  const { raise, alerts } = world.replica()
  let refusals = 0
  world.takes = (channel) => {
    if (channel === 'email' && refusals++ < 3) throw new Error('away')
  }
  raise(95)
  await world.settle()
  assert.deepEqual(channelsOf(world.told), ['webhook 95'])
  await world.pass(3 * MINUTE)
  assert.deepEqual(channelsOf(world.told), ['email 95', 'webhook 95'])
  assert.equal(new Set(world.told.map((line) => line.split(' ')[2])).size, 1, 'one alert, one id')
  assert.deepEqual(
    alerts.figures().delivered.find(({ outcome }) => outcome === 'failed'),
    { channel: 'email', outcome: 'failed', count: 3 },
  )
})

test('what a replica died over is told by another', async (t) => {
  const world = site(t)
  const dying = world.replica()
  world.takes = () => new Promise(() => {})
  dying.raise(85)
  await world.settle()
  world.takes = () => {}
  world.replica()
  await world.pass(MINUTE)
  assert.deepEqual(world.told, [], 'it may still be under way')
  await world.pass(2 * MINUTE)
  assert.deepEqual(channelsOf(world.told), ['webhook 85'])
  // Else it would wait for what never ends.
  t.mock.method(dying.alerts, 'close', async () => {})
})

test('two replicas that look at once tell of it once', async (t) => {
  const world = site(t)
  const { raise } = world.replica()
  world.replica()
  world.replica()
  let away = true
  world.takes = () => {
    if (away) throw new Error('away')
  }
  raise(85)
  await world.settle()
  away = false
  await world.pass(5 * MINUTE)
  assert.deepEqual(channelsOf(world.told), ['webhook 85'])
})

test('a channel that stays away is given up after some hours, and that is told as an error', async (t) => {
  const world = site(t)
  const { raise, alerts, lines } = world.replica()
  world.takes = () => {
    throw new Error('away')
  }
  raise(85)
  await world.settle()
  await world.pass(6 * 60 * MINUTE)
  const { delivered } = alerts.figures()
  assert.deepEqual(
    delivered.map(({ outcome, count }) => [outcome, count]),
    [
      ['failed', 14],
      ['abandoned', 1],
    ],
  )
  assert.ok(lines.some(({ msg, level }) => msg === 'An alert was given up' && level === 50))
})

test('however many are due at once, each is kept, told and let go of once', async (t) => {
  const world = site(t)
  const { raise, alerts, lines } = world.replica()
  let away = true
  world.takes = () => {
    if (away) throw new Error('away')
  }
  for (let raised = 0; raised < 100; raised++) raise(85)
  await world.settle()
  assert.equal(alerts.figures().delivered.find(({ outcome }) => outcome === 'failed')?.count, 100)
  away = false
  await world.pass(10 * MINUTE)
  assert.equal(world.told.length, 100)
  assert.equal(new Set(world.told).size, 100)
  assert.deepEqual(
    lines.filter(({ msg }) => /could not be kept/.test(String(msg))),
    [],
  )
})

test('with the store away it is told all the same', async (t) => {
  const world = site(t)
  const away = () => Promise.reject(new Error('away'))
  const { raise } = world.replica({ get: away, put: away })
  raise(85)
  await world.settle()
  assert.deepEqual(channelsOf(world.told), ['webhook 85'])
})
