import { LRUCache } from 'lru-cache'
import { ParleyError } from '#errors.ts'
import { type Owner, partitionOf } from '#identity/principal.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { AuditEntry } from '../audit.ts'
import { type Consent, type Consents, type Purpose, purposes } from '../privacy.ts'
import type { Records } from './records.ts'

export interface ConsentsOptions {
  records: Records
  clock: Clock
  log: Log
  note(entry: AuditEntry): unknown
}

type Said = { purpose: Purpose; given: boolean; at: number }

const KNOWN_PEOPLE = 10_000
const KNOWN_MS = 2000
const TRIES = 5
/** Of one purpose; who changes their mind more often has the latest of it kept. */
const KEPT = 100

/** What was said is kept in order, per person; what holds is what was said last. */
export function createConsents({ records, clock, log, note }: ConsentsOptions): Consents {
  // Where its time is 0, the cache takes an entry for one without a lifetime.
  const perf = { now: () => clock.monotonic() + 1 }
  const known = new LRUCache<string, Promise<readonly Said[]>>({
    ...{ max: KNOWN_PEOPLE, ttl: KNOWN_MS, ttlResolution: 0, perf },
  })

  const placeOf = (owner: Owner) => ({ tenant: owner.tenant, person: partitionOf(owner), name: 'consents' })

  async function read(owner: Owner): Promise<{ said: Said[]; version: number }> {
    const found = await records.read(placeOf(owner))
    return { said: (found?.body ?? []) as Said[], version: found?.version ?? 0 }
  }

  function remembered(owner: Owner): Promise<readonly Said[]> {
    const person = partitionOf(owner)
    const there = known.get(person)
    if (there) return there
    const asked = read(owner).then(({ said }) => said)
    known.set(person, asked)
    asked.catch(() => {
      if (known.peek(person) === asked) known.delete(person)
    })
    return asked
  }

  return {
    async has(owner, purpose) {
      try {
        return holds(await remembered(owner), purpose)
      } catch (error) {
        log.warn({ err: error, purpose }, 'Whether somebody has consented cannot be known; it counts as not')
        return false
      }
    },

    async list(owner) {
      return overview((await read(owner)).said)
    },

    async change(person, changes) {
      for (let tries = 0; tries < TRIES; tries++) {
        const { said, version } = await read(person)
        const at = clock.now()
        const news = purposes.flatMap((purpose): Said[] => {
          const given = changes[purpose]
          return given === undefined || given === holds(said, purpose) ? [] : [{ purpose, given, at }]
        })
        if (news.length === 0) return overview(said)
        const next = purposes.flatMap((purpose) => ofPurpose([...said, ...news], purpose).slice(-KEPT))
        if (!(await records.write(placeOf(person), next, version))) continue
        known.delete(partitionOf(person))
        const subject = partitionOf(person)
        for (const { purpose, given } of news) {
          note({ tenant: person.tenant, kind: 'consent.changed', actor: subject, subject, details: { purpose, given } })
        }
        return overview(next)
      }
      throw new ParleyError('version_conflict')
    },
  }
}

function holds(said: readonly Said[], purpose: Purpose): boolean {
  return ofPurpose(said, purpose).at(-1)?.given ?? false
}

function ofPurpose(said: readonly Said[], purpose: Purpose): Said[] {
  return said.filter((one) => one.purpose === purpose)
}

function overview(said: readonly Said[]): Consent[] {
  return purposes.map((purpose) => {
    const history = ofPurpose(said, purpose).map(({ given, at }) => ({ given, at }))
    const last = history.at(-1)
    return { purpose, given: last?.given ?? false, since: last?.at ?? null, history }
  })
}
