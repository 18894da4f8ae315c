import { ParleyError } from '#errors.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { Baselines } from './baselines.ts'
import { judge, LEAST_STABLE_TRIALS } from './judge.ts'
import type { Leadership } from './leadership.ts'
import type { ServingNow } from './serving-now.ts'
import type { SharedState } from './shared-state.ts'
import type { LiveRollout } from './state.ts'
import type { CounterStore } from './store/counter-store.ts'
import { advance, compare, type Occasion, pause } from './transitions.ts'
import type { Verdict as Judged } from './verdict.ts'
import type { Verdict } from './view.ts'

export interface WatchOptions {
  shared: SharedState
  counters: CounterStore
  baselines: Baselines
  leadership: Leadership
  serving: ServingNow
  clock: Clock
  log: Log
}

const LOST = 'The counters are gone from the live state: what they said nobody knows.'
const AWAY: Verdict = {
  decision: 'hold',
  sentence: 'Hold: the counters are out of reach, and without them nothing is judged.',
  figures: null,
}

/** Looks at the counters of what is live, and does what follows from them. */
export class Watch {
  readonly #options: WatchOptions
  #verdict: Verdict | undefined
  #judged = ''

  constructor(options: WatchOptions) {
    this.#options = options
  }

  /** Of what is live; undefined before the first look at it where it stands: what was said of its last step says nothing of this one. */
  verdictOf(live: LiveRollout | null): Verdict | undefined {
    return placeOf(live) === this.#judged ? this.#verdict : undefined
  }

  /** Never rejects. What cannot be done now is found again at the next look. */
  async look(): Promise<void> {
    const { shared, log } = this.#options
    const { live } = shared.present
    if (!live) return this.#options.serving.hold(false)
    try {
      await this.#judge(live)
    } catch (error) {
      if (!isPassing(error)) log.error({ err: error, rollout: live.id }, 'Judging a rollout failed')
    }
  }

  async #judge(live: LiveRollout): Promise<void> {
    const { leadership, serving, shared } = this.#options
    const { epoch } = shared.present
    const found = await this.#read(live)
    if (!found) {
      this.#found(live, AWAY)
      return
    }
    serving.hold(found.counters === 'lost')
    if (found.counters === 'lost') return this.#onLoss(live, found.now)
    const verdict = judge(live, found.counters, found.now)
    this.#found(live, verdict)
    if (verdict.decision === 'roll-back') return this.#rollBack(verdict, found.now)
    if (!leadership.held) return
    if (!live.baseline && (await this.#freeze(found.now))) return
    const { decision, figures } = verdict
    const occasion = this.#occasion(verdict.sentence, { figures, counters: found.counters }, found.now)
    if (decision === 'advance') {
      // Since it was judged, another replica may have ordered a rollback, and an operator may have paused it, or promoted it.
      await shared.look()
      if (shared.present.epoch === epoch) await shared.move((state) => advance(state, occasion))
    } else if (decision === 'pause') {
      const { cause } = verdict
      await shared.move((state) => pause(state, cause, occasion))
    }
  }

  #found(live: LiveRollout, verdict: Verdict): void {
    this.#verdict = verdict
    this.#judged = placeOf(live)
  }

  async #read(live: LiveRollout) {
    const { counters } = this.#options
    try {
      await counters.closeTrials(live.id)
      return await counters.read(live.id, live.steps.length)
    } catch {
      return undefined
    }
  }

  /** Any replica may: it is for safety, as rolling back is. */
  async #rollBack({ sentence, figures, why }: Extract<Judged, { decision: 'roll-back' }>, at: number): Promise<void> {
    await this.#options.shared.rollBackNow(this.#occasion(sentence, { figures, why }, at))
  }

  async #onLoss(live: LiveRollout, at: number): Promise<void> {
    this.#found(live, { decision: 'pause', sentence: `Pause: ${LOST}`, figures: null })
    if (live.paused?.cause === 'counters-lost') return
    await this.#options.shared.move((state) => pause(state, 'counters-lost', this.#occasion(LOST, null, at)))
  }

  /** The thresholds of speed and cost are stable's, from the moment there is enough of it: then true, and the next look judges by them. */
  async #freeze(at: number): Promise<boolean> {
    const { baselines, clock, shared } = this.#options
    const baseline = await baselines.read(shared.present.stable.hash, clock.now())
    if (baseline.trials < LEAST_STABLE_TRIALS) return false
    const reason = `${baseline.trials} trials of ${shared.present.stable.version} are there to compare with.`
    await shared.move((state) => compare(state, baseline, this.#occasion(reason, baseline, at)))
    return true
  }

  #occasion(reason: string, evidence: unknown, at: number): Occasion {
    return { by: 'system', operator: null, reason, evidence, at }
  }
}

/** What pauses it is what is to be said of it, so a pause is no place of its own. */
function placeOf(live: LiveRollout | null): string {
  return live ? `${live.id} ${live.paused?.from ?? live.status} ${live.step}` : ''
}

const passing: ReadonlySet<string> = new Set([
  'version_conflict',
  'blob_unavailable',
  'rollout_state_unreadable',
  'rollout_state_diverged',
  'state_unavailable',
  'rollout_state',
])

/** Somebody was quicker, or a store is away: there is a next time. */
function isPassing(error: unknown): boolean {
  return error instanceof ParleyError && passing.has(error.code)
}
