import type { RolloutEnv } from '#env.ts'
import type { BudgetReached, Events, FeedbackGiven, RelayEnded, RunSettled, Served, TurnEnded } from '#events/events.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { ConfigVersion } from '../document.ts'
import { readCohort } from './arms.ts'
import type { Baselines } from './baselines.ts'
import type { Counted } from './counters.ts'
import { isFailedRun, isNotCompleted, outcomeOf } from './outcomes.ts'
import type { Baseline, RolloutState } from './state.ts'
import type { CounterStore, Observation } from './store/counter-store.ts'
import { unitCost } from './unit-cost.ts'

export interface ObservingOptions {
  events: Events
  counters: CounterStore
  baselines: Baselines
  /** A known version by its name, and what is stable now, whose prices count. */
  versionOf(name: string): ConfigVersion | undefined
  stable(): ConfigVersion
  state(): RolloutState
  trialOf: RolloutEnv['trialOf']
  /** Something was counted that may change the verdict. */
  onNews(): void
  clock: Clock
  log: Log
}

/** Observations that wait while the store is away; beyond, the oldest are given up. */
const WAITING = 20_000
const AT_ONCE = 500
/** Percent. */
const BUDGET_END = 100

/**
 * Hears what happened and counts what it says about the version that was assigned, whichever model answered in the end. Each
 * outcome lands in the cohort of its unit, as the fact names it, however late it comes. Told again, it is counted once.
 */
export class Observing {
  readonly #options: ObservingOptions
  readonly #stops: (() => void)[]
  #waiting: Observation[] = []
  /** Trials of stable by cohort, to be counted together. */
  readonly #control = new Map<string, { rollout: string; step: number; trials: number }>()

  constructor(options: ObservingOptions) {
    this.#options = options
    const { events } = options
    this.#stops = [
      events.on('turn.ended', (fact) => this.#onTurn(fact, false)),
      events.on('relay.ended', (fact) => this.#onTurn(fact, true)),
      events.on('run.settled', (fact) => this.#onRun(fact)),
      events.on('feedback.given', (fact) => this.#onFeedback(fact)),
      events.on('budget.reached', (fact) => this.#onBudget(fact)),
    ]
  }

  /** What is gathered goes to the store; what waited for the store is tried again. Never rejects. */
  async flush(): Promise<void> {
    const { baselines, clock, counters } = this.#options
    const control = [...this.#control.values()]
    this.#control.clear()
    const again = this.#waiting.splice(0, AT_ONCE)
    await Promise.all([
      baselines.flush(clock.now()),
      // Shown to people only: what a failure loses nobody decides by.
      ...control.map(({ rollout, step, trials }) => counters.addControl(rollout, step, trials).catch(() => {})),
      ...again.map((observation) => this.#count(observation)),
    ])
  }

  async close(): Promise<void> {
    for (const stop of this.#stops) stop()
    await this.flush()
  }

  #onTurn(fact: TurnEnded | RelayEnded, isRelay: boolean): void {
    if (fact.cohort === 'picked') return
    const outcome = outcomeOf(fact, isRelay)
    const isFault = fact.faults.length > 0
    if (outcome === undefined && !isFault) return
    const { baselines, clock, versionOf, stable } = this.#options
    const version = versionOf(fact.config)
    const isError = outcome === 'failed'
    const costUsd = version
      ? unitCost(fact.segments, version.document.models, stable().document.models)
      : fact.segments.reduce((sum, segment) => sum + segment.costUsd, 0)
    const trialOf = this.#options.trialOf === 'principal' ? fact.principal : fact.unit
    const { unit, firstTokenMs } = fact
    const isTrial =
      version !== undefined &&
      baselines.add(version.hash, { trialOf, unit, isError, firstTokenMs, costUsd }, clock.now())
    const place = this.#placeOf(fact)
    if (!place) return
    const bad: Counted[] = isError ? ['turn-error'] : []
    if (isNotCompleted(fact)) bad.push('not-completed')
    bad.push(...above('first-token-slow', firstTokenMs ?? 0, place.baseline?.firstTokenMs))
    bad.push(...above('cost-high', costUsd, place.baseline?.costUsd))
    if (fact.arm === 'canary' || bad.length > 0 || isFault) {
      const turn = outcome && version && !askedFirst(fact, version) ? 'aside' : outcome
      this.#observe({ ...place, bad, turn: isFault ? 'fault' : turn, trialOf })
    }
    if (isTrial && fact.arm === 'stable') this.#addControl(place)
    if (fact.code === 'budget_exceeded') this.#onBreach(place)
  }

  #onRun(fact: RunSettled): void {
    const { state, stable, versionOf } = this.#options
    const { live } = state()
    const candidate = live ? versionOf(live.candidate.version) : undefined
    const place = isFailedRun(fact, stable(), candidate) ? this.#placeOf(fact) : undefined
    if (place) this.#observe({ ...place, bad: ['action-failed'], turn: undefined, trialOf: fact.unit })
  }

  #onFeedback(fact: FeedbackGiven): void {
    const place = fact.rating === 'down' ? this.#placeOf(fact) : undefined
    if (place) this.#observe({ ...place, bad: ['thumbs-down'], turn: undefined, trialOf: fact.unit })
  }

  /** What is reserved is kept within a budget, so most end by a call that no longer fits: see `#onTurn`. */
  #onBudget({ percent, served }: BudgetReached): void {
    const place = percent >= BUDGET_END && served ? this.#placeOf(served) : undefined
    if (place) this.#onBreach(place)
  }

  #onBreach({ rollout, arm }: Pick<Observation, 'rollout' | 'arm'>): void {
    const { counters, onNews, log } = this.#options
    counters.breached(rollout, arm).then(
      (isNews) => isNews && onNews(),
      (error) => log.warn({ err: error, rollout }, 'That a budget came to its end could not be noted'),
    )
  }

  /** Where it counts: not what is outside of a rollout or was picked, nor what is late for a rollout that has ended. */
  #placeOf({ cohort, arm, unit }: Served) {
    const place = readCohort(cohort)
    if (!place) return undefined
    const { live, finished } = this.#options.state()
    // Of a rollout that this replica has not heard of yet it counts: another one has.
    if (live?.id !== place.rollout && finished.some(({ id }) => id === place.rollout)) return undefined
    const baseline = live?.id === place.rollout ? live.baseline : null
    return { ...place, unit, arm: arm === 'canary' ? ('canary' as const) : ('control' as const), baseline }
  }

  #observe({ baseline: _, ...observation }: Observation & { baseline: Baseline | null }): void {
    void this.#count(observation)
  }

  async #count(observation: Observation): Promise<void> {
    const { counters, onNews, log } = this.#options
    try {
      if (await counters.observe(observation)) onNews()
    } catch (error) {
      if (this.#waiting.length === 0)
        log.warn({ err: error }, 'What happened in a rollout cannot be counted now; it waits')
      this.#waiting.push(observation)
      if (this.#waiting.length > WAITING) this.#waiting.shift()
    }
  }

  #addControl({ rollout, step }: { rollout: string; step: number }): void {
    const control = this.#control.getOrInsertComputed(`${rollout}.${step}`, () => ({ rollout, step, trials: 0 }))
    control.trials += 1
  }
}

/** At which of stable's percentiles a value is bad. A percentile of nothing is 0, and nothing is compared with it. */
function above(
  metric: 'first-token-slow' | 'cost-high',
  value: number,
  of: Baseline['costUsd'] | undefined,
): Counted[] {
  if (!of) return []
  return (['p50', 'p90'] as const).filter((at) => of[at] > 0 && value > of[at]).map((at) => `${metric}.${at}` as const)
}

/** Whether the model that its route names first was asked: one whose circuit is open is not, and cannot show that it is sound. */
function askedFirst(fact: TurnEnded | RelayEnded, { document }: ConfigVersion): boolean {
  const name = 'addressee' in fact ? fact.addressee : fact.specialist
  const route = Object.hasOwn(document.specialists, name) ? document.specialists[name]?.route : name
  const [first] = (route !== undefined && Object.hasOwn(document.routes, route) && document.routes[route]?.models) || []
  return first === undefined || fact.segments.some(({ model }) => model === first)
}
