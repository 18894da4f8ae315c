import { LRUCache } from 'lru-cache'
import type { Events } from '#events/events.ts'
import { newId } from '#ids.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import { type Key, type Kv, key } from '#platform/kv/kv.ts'
import type { Alert, Channel, News, Severity } from './alerts/alert.ts'
import { hearNews } from './alerts/news.ts'
import { Outbox, type Pending } from './alerts/outbox.ts'

export interface AlertsOptions {
  events: Pick<Events, 'on'>
  kv: Pick<Kv, 'get' | 'put'>
  clock: Clock
  log: Log
  channels: Readonly<Record<Severity, readonly Channel[]>>
  /** Those that lead out of the process, as far as they are configured. */
  senders: Partial<Record<Channel, (alert: Alert) => Promise<void>>>
  random?: () => number
}

export interface Alerts {
  /** How many alerts were raised, and how their deliveries ended, on this replica. */
  figures(): AlertFigures
  close(): Promise<void>
}

export interface AlertFigures {
  raised: readonly { severity: string; kind: string; count: number }[]
  delivered: readonly { channel: string; outcome: 'delivered' | 'failed' | 'abandoned'; count: number }[]
}

/** What a delivery may take, before another replica takes it for dead. */
const LEASE_MS = 120_000
const LOOK_EVERY_MS = 15_000
/** 5 s, 10 s, 20 s … up to half an hour, halved at random: given up after some three hours. */
const RETRY_MS = { first: 5000, most: 1_800_000, attempts: 14 }

const levels = { info: 'info', warning: 'warn', critical: 'error' } as const

/** What is told of once, however many replicas come across it. */
const ONCE_MS = 3_600_000
/** What a replica itself has told of so; the store knows of all. */
const NAMES = 1000

/**
 * Tells people of what they should hear of, such as a budget that runs out: where their severity says, at least once, and never while a turn waits for it. What
 * leads out of the process is kept before it is sent, and tried again, by whichever replica lives.
 */
export function openAlerts(options: AlertsOptions): Alerts {
  const { events, kv, clock, log, channels, senders, random = Math.random } = options
  const outbox = new Outbox(kv)
  const counts = new Map<string, number>()
  const working = new Set<Promise<unknown>>()
  // Where its time is 0, the cache takes an entry for one without a lifetime.
  const perf = { now: () => clock.monotonic() + 1 }
  const toldHere = new LRUCache<string, true>({ max: NAMES, ttl: ONCE_MS, ttlResolution: 0, perf })
  let stopLooking = () => {}
  let closed = false

  const count = (...what: string[]) => {
    const name = JSON.stringify(what)
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }

  function inBackground(work: Promise<unknown>): void {
    const done = work
      .catch((error) => log.warn({ err: error }, 'Alerts could not be kept or looked for'))
      .finally(() => working.delete(done))
    working.add(done)
  }

  /** With the store away it cannot be told whether another replica has: then it is told, by this one once. */
  async function isTold(name: string): Promise<boolean> {
    if (toldHere.has(name)) return true
    toldHere.set(name, true)
    const found = await kv.get(toldKey(name)).catch(() => undefined)
    if (found) toldHere.delete(name)
    return found !== undefined
  }

  /** False where another replica was first. */
  async function markTold(name: string): Promise<boolean> {
    const marked = kv.put(toldKey(name), Buffer.from('1'), { ifVersion: 0, ttlMs: ONCE_MS })
    const isFirst = await marked.then(
      (version) => version !== undefined,
      () => true,
    )
    if (!isFirst) toldHere.delete(name)
    return isFirst
  }

  async function raise(news: News, onceAnHour: string | undefined): Promise<void> {
    if (onceAnHour !== undefined && (await isTold(onceAnHour))) return
    const alert: Alert = { id: newId('alert'), ...news }
    if (onceAnHour === undefined) note(alert)
    const left = channels[alert.severity].filter((channel) => senders[channel])
    const pending = { alert, left, attempts: 0, dueAt: clock.now() + LEASE_MS }
    // Out of reach or full, it is told all the same, though once only.
    const keep = () => outbox.add(pending).catch((error) => log.warn({ err: error }, 'An alert could not be kept'))
    if (left.length > 0) await keep()
    if (onceAnHour !== undefined) {
      // Not marked before it is kept: who dies in between leaves it to the others.
      if (!(await markTold(onceAnHour))) return outbox.settle(alert.id, undefined)
      note(alert)
    }
    if (left.length > 0) await deliver(pending)
  }

  function note(alert: Alert): void {
    const { severity, kind } = alert
    count('raised', severity, kind)
    if (channels[severity].includes('log')) log[levels[severity]](alert, 'An alert was raised')
  }

  async function deliver(pending: Pending): Promise<void> {
    const { alert, attempts } = pending
    const outcomes = await Promise.all(pending.left.map((channel) => tell(channel, alert)))
    const left = pending.left.filter((_, index) => !outcomes[index])
    const isOver = attempts + 1 >= RETRY_MS.attempts
    if (left.length > 0 && isOver) {
      log.error({ alert: alert.id, channels: left, attempts: attempts + 1 }, 'An alert was given up')
      for (const channel of left) count('delivered', channel, 'abandoned')
    }
    const waitMs = Math.min(RETRY_MS.most, RETRY_MS.first * 2 ** attempts) * (0.5 + random() / 2)
    const rest = { ...pending, left, attempts: attempts + 1, dueAt: clock.now() + waitMs }
    await outbox.settle(alert.id, left.length > 0 && !isOver ? rest : undefined)
  }

  /** Whether it was told there. */
  async function tell(channel: Channel, alert: Alert): Promise<boolean> {
    try {
      await senders[channel]?.(alert)
      count('delivered', channel, 'delivered')
      return true
    } catch (error) {
      count('delivered', channel, 'failed')
      log.warn({ err: error, channel, alert: alert.id }, 'An alert could not be delivered')
      return false
    }
  }

  async function look(): Promise<void> {
    const now = clock.now()
    await Promise.all((await outbox.claim(now, now + LEASE_MS)).map(deliver))
  }

  function lookSoon(): void {
    stopLooking = clock.after(LOOK_EVERY_MS, () => {
      inBackground(look())
      lookSoon()
    })
  }

  const stopHearing = hearNews(events, (news, onceAnHour) => {
    if (!closed) inBackground(raise(news, onceAnHour))
  })
  if (Object.keys(senders).length > 0) lookSoon()
  return {
    figures() {
      const rows = [...counts].map(([name, total]) => ({ what: JSON.parse(name) as string[], total }))
      const of = (first: string) => rows.filter(({ what }) => what[0] === first)
      return {
        raised: of('raised').map(({ what: [, severity = '', kind = ''], total }) => ({ severity, kind, count: total })),
        delivered: of('delivered').map(({ what: [, channel = '', outcome], total }) => ({
          channel,
          outcome: outcome as AlertFigures['delivered'][number]['outcome'],
          count: total,
        })),
      }
    },
    async close() {
      closed = true
      stopHearing()
      stopLooking()
      await Promise.all(working)
    },
  }
}

function toldKey(name: string): Key {
  return key('alerts', `told:${name}`)
}
