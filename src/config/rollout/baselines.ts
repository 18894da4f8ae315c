import { LRUCache } from 'lru-cache'
import type { Kv } from '#platform/kv/kv.ts'
import { bucketOf, bucketsOf, percentile, type Scale } from './histogram.ts'
import type { Baseline } from './state.ts'
import { hourKey } from './store/keys.ts'
import { addTo, sumOf } from './store/records.ts'

/** A turn, as a baseline takes it. */
export interface Sample {
  /** Whose trial it is, and of what unit. */
  trialOf: string
  unit: string
  isError: boolean
  firstTokenMs: number | null
  costUsd: number
}

const HOUR_MS = 3_600_000
const HOURS = 24
const KEPT_MS = (HOURS + 2) * HOUR_MS
/** Owners of trials that are remembered per version and hour, so that one batch client is one trial. */
const REMEMBERED = 20_000
const scales = {
  firstTokenMs: { least: 1, most: 600_000 },
  costUsd: { least: 1e-7, most: 100 },
} as const satisfies Record<string, Scale>
const fields = {
  firstTokenMs: bucketFields('t', scales.firstTokenMs),
  costUsd: bucketFields('c', scales.costUsd),
}
const allFields = ['trials', 'errors', ...fields.firstTokenMs, ...fields.costUsd]

/**
 * What each version was like in the last 24 hours: always on, so that there is something to compare with when a rollout begins.
 * Samples are gathered in memory and added, at each flush, to one record per version and hour that all replicas share; what is
 * gathered when a replica dies is lost. It grows by 24 records of at most some hundred fields per version in use.
 */
export class Baselines {
  readonly #kv: Kv
  readonly #trialClosesMs: number
  /** By version hash. */
  readonly #gathered = new Map<string, Map<string, number>>()
  readonly #trials = new LRUCache<string, { unit: string; closesAt: number; isError: boolean }>({ max: REMEMBERED })

  constructor(kv: Kv, options: { trialClosesMs: number }) {
    this.#kv = kv
    this.#trialClosesMs = options.trialClosesMs
  }

  /** True when the sample is a trial of its own. */
  add(versionHash: string, sample: Sample, now: number): boolean {
    const gathered = this.#gathered.getOrInsertComputed(versionHash, () => new Map())
    const add = (field: string | undefined) =>
      field !== undefined && gathered.set(field, (gathered.get(field) ?? 0) + 1)
    const { trialOf, unit, isError, firstTokenMs, costUsd } = sample
    if (firstTokenMs !== null) add(fields.firstTokenMs[bucketOf(firstTokenMs, scales.firstTokenMs)])
    add(fields.costUsd[bucketOf(costUsd, scales.costUsd)])
    const name = `${versionHash}/${Math.floor(now / HOUR_MS)}/${trialOf}`
    const trial = this.#trials.get(name)
    if (!trial) {
      this.#trials.set(name, { unit, isError, closesAt: now + this.#trialClosesMs })
      add('trials')
      if (isError) add('errors')
      return true
    }
    // As with trials of the canary: what befalls the unit until it is closed is its error, once.
    if (isError && !trial.isError && trial.unit === unit && now < trial.closesAt) {
      trial.isError = true
      add('errors')
    }
    return false
  }

  /** Adds what was gathered to the records of this hour. Rejects with state_unavailable; then it stays gathered. */
  async flush(now: number): Promise<void> {
    const gathered = [...this.#gathered]
    this.#gathered.clear()
    const hour = Math.floor(now / HOUR_MS)
    const added = await Promise.allSettled(
      gathered.map(([versionHash, counts]) =>
        this.#kv.run(addTo, [hourKey(versionHash, hour)], [KEPT_MS, ...[...counts].flat()]),
      ),
    )
    for (const [at, { status }] of added.entries()) {
      const kept = gathered[at]
      if (status === 'rejected' && kept) this.#putBack(...kept)
    }
  }

  async read(versionHash: string, now: number): Promise<Baseline> {
    const hour = Math.floor(now / HOUR_MS)
    // One ahead, for replicas whose clocks are.
    const hours = Array.from({ length: HOURS + 2 }, (_, back) => hourKey(versionHash, hour + 1 - back))
    const [trials = 0, errors = 0, ...counts] = await this.#kv.run(sumOf, hours, allFields)
    const firstToken = counts.slice(0, fields.firstTokenMs.length)
    const cost = counts.slice(fields.firstTokenMs.length)
    return {
      trials,
      errorRate: trials === 0 ? 0 : errors / trials,
      firstTokenMs: percentilesOf(firstToken, scales.firstTokenMs),
      costUsd: percentilesOf(cost, scales.costUsd),
    }
  }

  #putBack(versionHash: string, counts: ReadonlyMap<string, number>): void {
    const gathered = this.#gathered.getOrInsertComputed(versionHash, () => new Map())
    for (const [field, count] of counts) gathered.set(field, (gathered.get(field) ?? 0) + count)
  }
}

function percentilesOf(counts: readonly number[], scale: Scale): { p50: number; p90: number } {
  return { p50: percentile(counts, 0.5, scale), p90: percentile(counts, 0.9, scale) }
}

function bucketFields(prefix: string, scale: Scale): string[] {
  return Array.from({ length: bucketsOf(scale) }, (_, bucket) => `${prefix}${bucket}`)
}
