import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Attributes } from '@opentelemetry/api'
import type { Clock } from '#platform/clock.ts'
import type { MetricName } from './catalogue.ts'
import type { LetterFigure, ModelFigure, RunFigure, Sources } from './sources.ts'

export interface Observation {
  name: MetricName
  value: number
  attributes: Attributes
}

/** However often metrics are asked for, the database is asked no more often than this. */
const RUNS_EVERY_MS = 10_000
/** The same for the broker, where each look costs an operation. */
const LETTERS_EVERY_MS = 60_000
const LOOP_RESOLUTION_MS = 20
const QUANTILES = [50, 99] as const

/** Looks at what is not recorded: the present state of this replica, and of the runs of all. */
export class Observer {
  readonly #clock: Clock
  readonly #sources: Sources
  readonly #loop = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS })
  readonly #runs: Rarely<RunFigure>
  readonly #letters: Rarely<LetterFigure>

  constructor(clock: Clock, sources: Sources) {
    this.#clock = clock
    this.#sources = sources
    this.#runs = new Rarely(RUNS_EVERY_MS, () => sources.runs())
    this.#letters = new Rarely(LETTERS_EVERY_MS, () => sources.brokerDeadLetters())
    this.#loop.enable()
  }

  async look(): Promise<Observation[]> {
    const { liveTurns, openStreams, shedding, alerts, models, verdict, dependencies } = this.#sources
    const up = Object.entries(dependencies())
    const now = this.#clock.monotonic()
    const [runs, letters] = await Promise.all([this.#runs.look(now), this.#letters.look(now)])
    return [
      ...runs.flatMap(ofRuns),
      ...letters.flatMap(ofLetters),
      of('parley_live_turns', liveTurns()),
      of('parley_open_streams', openStreams()),
      ...ofShedding(shedding()),
      ...ofAlerts(alerts()),
      ...models().flatMap(ofModel),
      ...ofVerdict(verdict()),
      ...up.map(([dependency, isUp]) => of('parley_dependency_up', Number(isUp), { dependency })),
      ...this.#lookAtLoop(),
      ...lookAtProcess(),
    ]
  }

  close(): void {
    this.#loop.disable()
  }

  #lookAtLoop(): Observation[] {
    // The histogram has the whole interval between two looks of its own.
    const delay = (nanoseconds: number) => Math.max(0, nanoseconds / 1e9 - LOOP_RESOLUTION_MS / 1000)
    const loop = this.#loop
    if (loop.count === 0) return []
    const seen = QUANTILES.map((rank) =>
      of('parley_event_loop_delay_seconds', delay(loop.percentile(rank)), { quantile: String(rank / 100) }),
    )
    seen.push(of('parley_event_loop_delay_seconds', delay(loop.max), { quantile: '1' }))
    loop.reset()
    return seen
  }
}

/** Figures that somebody else is asked for. */
class Rarely<Figure> {
  readonly #everyMs: number
  readonly #ask: () => Promise<readonly Figure[]>
  #last: Promise<readonly Figure[]> = Promise.resolve([])
  #askedAtMs = Number.NEGATIVE_INFINITY

  constructor(everyMs: number, ask: () => Promise<readonly Figure[]>) {
    this.#everyMs = everyMs
    this.#ask = ask
  }

  /** Empty while they cannot be had: a figure of before would be taken for one of now. */
  look(now: number): Promise<readonly Figure[]> {
    if (now - this.#askedAtMs >= this.#everyMs) {
      this.#askedAtMs = now
      this.#last = this.#ask().catch(() => [])
    }
    return this.#last
  }
}

function ofLetters({ count, oldestAgeMs }: LetterFigure): Observation[] {
  return [
    of('parley_broker_dead_letters', count),
    of('parley_broker_dead_letters_oldest_age_seconds', Math.max(0, oldestAgeMs) / 1000),
  ]
}

function ofRuns({ status, count, oldestAgeMs }: RunFigure): Observation[] {
  return [
    of('parley_runs', count, { status }),
    of('parley_runs_oldest_age_seconds', Math.max(0, oldestAgeMs) / 1000, { status }),
  ]
}

const CAUSES = ['event loop', 'heap', 'memory']

function ofShedding({ cause, refused }: ReturnType<Sources['shedding']>): Observation[] {
  return [
    ...CAUSES.map((each) => of('parley_shedding', Number(each === cause), { cause: each })),
    of('parley_shed_total', refused),
  ]
}

function ofAlerts({ raised, delivered }: ReturnType<Sources['alerts']>): Observation[] {
  return [
    ...raised.map(({ count, ...what }) => of('parley_alerts_total', count, what)),
    ...delivered.map(({ count, ...how }) => of('parley_alert_deliveries_total', count, how)),
  ]
}

const DECISIONS = ['advance', 'hold', 'pause', 'roll-back']

function ofVerdict(verdict: string | undefined): Observation[] {
  return DECISIONS.map((decision) => of('parley_rollout_verdict', Number(decision === verdict), { decision }))
}

const CIRCUITS = ['closed', 'half-open', 'open']

function ofModel({ name: model, circuit, active, queued, failovers }: ModelFigure): Observation[] {
  return [
    ...CIRCUITS.map((state) => of('parley_model_circuit', Number(state === circuit), { model, state })),
    of('parley_model_calls_active', active, { model }),
    of('parley_model_calls_queued', queued, { model }),
    of('parley_model_failovers_total', failovers, { model }),
  ]
}

function lookAtProcess(): Observation[] {
  const { rss, heapUsed } = process.memoryUsage()
  const { user, system } = process.cpuUsage()
  return [
    of('process_resident_memory_bytes', rss),
    of('nodejs_heap_used_bytes', heapUsed),
    of('process_cpu_seconds_total', (user + system) / 1e6),
  ]
}

function of(name: MetricName, value: number, attributes: Attributes = {}): Observation {
  return { name, value, attributes }
}
