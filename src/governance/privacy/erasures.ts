import { ParleyError } from '#errors.ts'
import { type Owner, partitionOf } from '#identity/principal.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { AuditEntry } from '../audit.ts'
import type { ErasedPlace, Eraser, Erasure, Erasures } from '../privacy.ts'
import type { RecordPlace, Records } from './records.ts'

export interface ErasuresOptions {
  records: Records
  /** What makes everything unreadable at once, wherever copies of it lie. */
  destroyKey(owner: Owner): Promise<void>
  hasKey(owner: Owner): Promise<boolean>
  erasers: readonly Eraser[]
  clock: Clock
  log: Log
  /** Resolves once it is kept. */
  record(entry: AuditEntry): Promise<void>
}

/**
 * As it is kept: the owner is named until it is done, by whom it was asked for by their partition only.
 *
 *     asked for → the key, then every place, round after round, until a round finds nothing → erased
 */
interface Kept extends Erasure {
  owner: Owner | null
  by: string
  round: number
  /** Places of the present round that are done. */
  done: string[]
  /** Something was found in this round; the first is not the last in any case. */
  found: boolean
  /** There was a key to destroy; absent until it was looked for. */
  hadKey?: boolean
}

const NAME = 'erasure'
const KEY_PLACE = 'data-key'
/** Somebody who writes on while being erased is not waited for. */
const ROUNDS = 5
/** Nobody has moved it on for so long: its replica is gone, or a place was out of reach. */
const STALLED_MS = 30_000
const LOOK_EVERY_MS = 30_000

/** Each step is noted once it is done, so that whoever goes on after a crash repeats one at most. */
export function createErasures(options: ErasuresOptions): Erasures {
  const { records, destroyKey, hasKey, erasers, clock, log, record } = options
  let closed = false
  let looking: Promise<void> = Promise.resolve()
  let stopTimer = clock.after(LOOK_EVERY_MS, look)

  const placeOf = (owner: Owner): RecordPlace => ({ tenant: owner.tenant, person: partitionOf(owner), name: NAME })

  async function keep(at: RecordPlace, kept: Kept, version: number): Promise<number> {
    const due = kept.status === 'running' ? clock.now() + STALLED_MS : undefined
    if (!(await records.write(at, kept, version, due))) throw new ParleyError('version_conflict')
    return version + 1
  }

  /** That it is to be done, from which moment on it is; where somebody asked for it already, that. */
  async function noted(by: Owner, owner: Owner, at: RecordPlace): Promise<{ kept: Kept; version: number }> {
    for (;;) {
      const found = await records.read(at)
      const earlier = found?.body as Kept | undefined
      if (found && earlier?.status === 'running') return { kept: earlier, version: found.version }
      const kept = begun(by, owner, clock.now())
      const details = { stage: 'asked', byOfficer: kept.by !== kept.person }
      await record({ ...entryOf(at, kept, 'asked'), details })
      const version = found?.version ?? 0
      if (await records.write(at, kept, version, clock.now() + STALLED_MS)) return { kept, version: version + 1 }
    }
  }

  /** Resolves at the end; rejects where a place is out of reach, and with version_conflict where another replica moves it on. */
  async function drive(at: RecordPlace, from: Kept, fromVersion: number): Promise<Kept> {
    let kept = from
    const { owner } = from
    if (!owner) return kept
    // Once it is destroyed, whoever goes on after a crash could not tell.
    kept = { ...kept, hadKey: kept.hadKey ?? (await hasKey(owner)) }
    // Whoever moves it on says so first.
    let version = await keep(at, kept, fromVersion)
    const step = async (place: string, erase: () => Promise<number>) => {
      if (kept.done.includes(place)) return
      const erased = await erase()
      kept = {
        ...kept,
        done: [...kept.done, place],
        found: kept.found || erased > 0,
        places: counted(kept.places, { place, erased, at: clock.now() }),
      }
      version = await keep(at, kept, version)
    }
    for (;;) {
      // In each round: what was under way, such as a run that ended, may have asked for another one.
      await step(KEY_PLACE, () => destroyKey(owner).then(() => (kept.round === 1 && kept.hadKey ? 1 : 0)))
      for (const { place, erase } of erasers) await step(place, () => erase(owner))
      if (!kept.found || kept.round >= ROUNDS) break
      kept = { ...kept, round: kept.round + 1, done: [], found: false }
    }
    const erased = kept.places.reduce((sum, place) => sum + place.erased, 0)
    const details = { stage: 'done', places: kept.places.length, erased }
    await record({ ...entryOf(at, kept, 'done'), details })
    kept = { ...kept, status: 'erased', finishedAt: clock.now(), owner: null }
    await keep(at, kept, version)
    log.info({ places: kept.places.length, rounds: kept.round }, 'A person was erased')
    return kept
  }

  async function goOn(): Promise<void> {
    for (const at of await records.due(NAME, clock.now())) {
      const found = await records.read(at)
      if (closed || !found) continue
      await drive(at, found.body as Kept, found.version).catch((error) => {
        log.warn({ err: error }, 'An erasure could not go on; it is tried again')
      })
    }
  }

  function look(): void {
    looking = goOn()
      .catch((error) => log.warn({ err: error }, 'What is still to be erased could not be found out'))
      .then(() => {
        if (!closed) stopTimer = clock.after(LOOK_EVERY_MS, look)
      })
  }

  return {
    async erase(by, owner) {
      const at = placeOf(owner)
      const { kept, version } = await noted(by, owner, at)
      try {
        return shown(await drive(at, kept, version))
      } catch (error) {
        log.warn({ err: error }, 'An erasure could not be finished at once; it goes on by itself')
        const now = await records.read(at).catch(() => undefined)
        return shown((now?.body as Kept | undefined) ?? kept)
      }
    },

    async of(owner) {
      const found = await records.read(placeOf(owner))
      if (!found) throw new ParleyError('erasure_not_found')
      return shown(found.body as Kept)
    },

    async close() {
      closed = true
      stopTimer()
      await looking
    },
  }
}

function begun(by: Owner, owner: Owner, now: number): Kept {
  return {
    status: 'running',
    person: partitionOf(owner),
    requestedAt: now,
    finishedAt: null,
    places: [],
    owner: { tenant: owner.tenant, id: owner.id },
    by: partitionOf(by),
    round: 1,
    done: [],
    found: true,
  }
}

function entryOf({ tenant, person }: RecordPlace, { by, requestedAt }: Kept, stage: string): AuditEntry {
  const id = `erasure:${person}:${requestedAt}:${stage}`
  return { tenant, kind: 'data.erased', actor: by, subject: person, id }
}

function counted(places: readonly ErasedPlace[], news: ErasedPlace): ErasedPlace[] {
  const before = places.find(({ place }) => place === news.place)
  if (!before) return [...places, news]
  return places.map((one) => (one === before ? { ...news, erased: before.erased + news.erased } : one))
}

function shown({ status, person, requestedAt, finishedAt, places }: Kept): Erasure {
  return { status, person, requestedAt, finishedAt, places }
}
