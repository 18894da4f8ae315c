import { ParleyError } from '#errors.ts'
import type { Log } from '#log.ts'
import { type Clock, delay } from '#platform/clock.ts'
import { type Kv, key } from '#platform/kv/kv.ts'
import { Roster } from '#platform/roster.ts'
import { type Stop, type Stops, scopesOf } from '../stops.ts'
import type { KeptStops, Remembered } from './kept.ts'
import { Lasting } from './lasting.ts'
import { readChanged } from './read-changed.ts'
import { tellAgain } from './tell-again.ts'

export interface StopsOptions {
  kv: Kv
  /** What is to outlast the store is kept here as well; absent where the store is a file of ours. */
  kept?: KeptStops | undefined
  clock: Clock
  log: Log
}

const STOPS = key('stops', 'state')
/** Half of what a replica may take to hear of it. */
const LOOK_EVERY_MS = 250
/**
 * In between it is read only where its version or its length is another one: it may be megabytes, and rarely changes. A store
 * that forgot may come to both with other bytes, so it is read whole once in a while, and when the store was away.
 */
const WHOLE_EVERY_MS = 5000
const TRIES = 20
/** From the sixth try on, at most: so that replicas which change it at once do not meet again. */
const PAUSE_MS = 40
const TRIES_AT_ONCE = 5
/**
 * Of keys and of their texts, in 20 minutes, and of people, in a day, so many each: however many are withdrawn, there is room for
 * what stops everything, and who rotates keys in a loop keeps nobody from revoking others.
 */
const MAX_WITHDRAWN = 10_000
const WITHDRAWN = /^(?:key|secret|person):/
/** Budgets, keys and people tell of themselves; what names a secret is nobody's to read. */
const UNSAID = /^(?:budget|key|secret|person):/

/**
 * One value in the store holds all stops, and its bytes are their epoch: each replica looks at it four times a second, whatever
 * it has under way. With the store away, what was in force stays so. Its version only grows: a store that has forgotten it, or
 * the last of it, since the server that took over had not heard of that yet, is told again by whoever knows; where nobody does, by the database.
 */
export async function createStops({ kv, kept, clock, log }: StopsOptions): Promise<Stops> {
  const listeners = new Roster<() => void>()
  const lasting = kept && new Lasting({ kept, clock, log })
  let known = new Map<string, Stop>()
  let bytes = ''
  /** What `bytes` are in the store, and when they were last read (monotonic ms). */
  let seen = { version: 0, length: 0, readAt: Number.NEGATIVE_INFINITY }
  /** When the last look that succeeded began, monotonic ms. */
  let heardAt = Number.NEGATIVE_INFINITY
  let isAway = false
  let closed = false
  let changes = 0
  let cancelNext = () => {}
  /** What the database had, until the store has been looked at. */
  let remembered: Remembered | undefined
  let last: Promise<unknown> = Promise.resolve()

  function inForce(scope: string): Stop | undefined {
    const stop = known.get(scope)
    return stop && (stop.until === null || stop.until > clock.now()) ? stop : undefined
  }

  function apply(text: string): void {
    if (text === bytes) return
    bytes = text
    known = new Map((JSON.parse(text) as Stop[]).map((stop) => [stop.scope, stop]))
    lasting?.changed(known.values(), seen.version)
    const stops = [...known.keys()].filter((scope) => !UNSAID.test(scope))
    log.warn({ stops, others: known.size - stops.length }, 'What is stopped has changed')
    for (const listener of listeners) listener()
  }

  async function look(): Promise<void> {
    const beganAt = clock.monotonic()
    const before = changes
    const isFresh = !remembered && beganAt - seen.readAt < WHOLE_EVERY_MS
    const found = await kv.run(readChanged, [STOPS], isFresh ? [seen.version, seen.length] : [0, 0])
    heardAt = Math.max(heardAt, beganAt)
    isAway = false
    // What was changed here meanwhile may not be in it yet.
    if (changes !== before || found === 'same') return
    const outlasting = remembered
    remembered = undefined
    if (outlasting && outlasting.version > Math.max(found?.version ?? 0, seen.version)) {
      seen = { version: outlasting.version, length: 0, readAt: Number.NEGATIVE_INFINITY }
      apply(together(outlasting.text, found?.value.toString() ?? '[]'))
    }
    if (found && found.version >= seen.version) {
      seen = { version: found.version, length: found.value.length, readAt: beganAt }
      apply(found.value.toString())
    } else if (bytes !== '') {
      await remind()
    }
  }

  /** Nobody may be left who knew what a store had that was lost, or set back: what is in either holds then. */
  async function recall(): Promise<void> {
    remembered = (await lasting?.recall()) ?? remembered
  }

  async function remind(): Promise<void> {
    await kv.run(tellAgain, [STOPS], [bytes, seen.version])
    log.warn('The store had forgotten what is stopped, and was told again')
  }

  /** One after the other here: of many at once each has only those of other replicas to give way to. */
  function change(next: (stops: Map<string, Stop>) => boolean): Promise<boolean> {
    const changed = last.then(() => changeNow(next))
    last = changed.catch(() => {})
    return changed
  }

  async function changeNow(next: (stops: Map<string, Stop>) => boolean): Promise<boolean> {
    for (let tries = 0; tries < TRIES; tries++) {
      if (tries >= TRIES_AT_ONCE) await delay(clock, Math.random() * PAUSE_MS)
      const found = await kv.get(STOPS)
      if ((found?.version ?? 0) < seen.version) {
        await remind()
        continue
      }
      const text = found?.value.toString() ?? '[]'
      const stops = new Map((JSON.parse(text) as Stop[]).map((stop) => [stop.scope, stop]))
      for (const [scope, { until }] of stops) if (until !== null && until <= clock.now()) stops.delete(scope)
      if (!next(stops)) return false
      const wanted = JSON.stringify([...stops.values()])
      const version = await kv.put(STOPS, Buffer.from(wanted), { ifVersion: found?.version ?? 0 })
      if (version === undefined) continue
      changes += 1
      seen = { version, length: 0, readAt: Number.NEGATIVE_INFINITY }
      apply(wanted)
      return true
    }
    throw new ParleyError('state_unavailable')
  }

  async function keepLooking(): Promise<void> {
    try {
      await look()
    } catch (error) {
      isAway = true
      seen.readAt = Number.NEGATIVE_INFINITY
      log.debug({ err: error }, 'What is stopped could not be read; what was in force stays so')
    }
    void recall()
    lasting?.goOn()
    if (!closed) cancelNext = clock.after(LOOK_EVERY_MS, () => void keepLooking())
  }

  await recall()
  await keepLooking()
  return {
    list: () => [...known.values()].filter(({ scope }) => inForce(scope)),
    found(work) {
      if (known.size === 0) return undefined
      for (const scope of scopesOf(work)) {
        const stop = inForce(scope)
        if (stop) return stop
      }
      return undefined
    },
    get: inForce,
    get silentMs() {
      return clock.monotonic() - heardAt
    },
    get isAway() {
      return isAway
    },
    look,
    set: async (stop) => void (await change((stops) => Boolean(withRoom(stops, stop.scope).set(stop.scope, stop)))),
    lift: (scope) => change((stops) => stops.delete(scope)),
    onChange: (listener) => listeners.add(listener),
    close() {
      closed = true
      cancelNext()
    },
  }
}

/** Of both; the second has the last word. */
function together(one: string, other: string): string {
  const stops = [...(JSON.parse(one) as Stop[]), ...(JSON.parse(other) as Stop[])]
  return JSON.stringify([...new Map(stops.map((stop) => [stop.scope, stop])).values()])
}

function withRoom(stops: Map<string, Stop>, scope: string): Map<string, Stop> {
  const [kind] = WITHDRAWN.exec(scope) ?? []
  if (kind === undefined || stops.has(scope)) return stops
  const alike = [...stops.keys()].filter((each) => each.startsWith(kind))
  if (alike.length >= MAX_WITHDRAWN) throw new ParleyError('overloaded', { retryAfterMs: 60_000 })
  return stops
}
