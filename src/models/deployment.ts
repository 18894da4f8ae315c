import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { Candidate, FailureReason } from './answer.ts'
import { Breaker } from './breaker.ts'
import { Latency } from './latency.ts'
import { Limiter } from './limiter.ts'
import type { ModelHealth } from './models.ts'
import { RetryBudget } from './retry-budget.ts'
import type { ModelSpec } from './schema.ts'

export interface DeploymentOptions {
  clock: Clock
  random: () => number
  log: Log
  /** Its circuit opened, for so long. */
  onOpen(deployment: Deployment, openMs: number): void
}

/** What this replica knows of one deployment, whichever config versions name it. */
export class Deployment {
  readonly breaker: Breaker
  readonly limiter: Limiter
  readonly firstToken: Latency
  /** For the requests that come here first. */
  readonly retryBudget: RetryBudget
  /** As last named by a config version; for probes. */
  spec: ModelSpec
  calls = 0
  failovers = 0
  readonly #clock: Clock
  #failures = 0
  #lastFailure: ModelHealth['lastFailure']
  #coolUntil = 0

  constructor(spec: ModelSpec, { clock, random, log, onOpen }: DeploymentOptions) {
    const { provider, deployment = spec.model } = spec
    this.spec = spec
    this.#clock = clock
    this.limiter = new Limiter(clock)
    this.firstToken = new Latency(clock)
    this.retryBudget = new RetryBudget(clock)
    this.breaker = new Breaker({
      clock,
      random,
      onOpen: (openMs) => {
        log.warn({ provider, deployment, openMs, reason: this.#lastFailure?.reason }, 'A circuit opened')
        onOpen(this, openMs)
      },
      onClose: () => log.info({ provider, deployment }, 'A circuit closed'),
    })
  }

  /** Notes a failure for people to see; the breaker hears of it separately. */
  failed(reason: FailureReason): void {
    this.#failures += 1
    this.#lastFailure = { reason, at: this.#clock.now() }
  }

  /** A 429 keeps calls away for so long. */
  cool(coolMs: number): void {
    this.#coolUntil = Math.max(this.#coolUntil, this.#clock.monotonic() + coolMs)
  }

  /** How long a 429 still keeps calls away; 0 when none does. */
  get coolingMs(): number {
    return Math.max(0, this.#coolUntil - this.#clock.monotonic())
  }

  get idle(): boolean {
    return this.limiter.active === 0 && this.limiter.queued === 0
  }

  health(name: string): ModelHealth {
    const { coolingMs } = this
    return {
      name,
      provider: this.spec.provider,
      circuit: this.breaker.state,
      held: this.breaker.held !== undefined,
      firstTokenMs: this.firstToken.percentiles(),
      calls: this.calls,
      failures: this.#failures,
      failovers: this.failovers,
      active: this.limiter.active,
      queued: this.limiter.queued,
      lastFailure: this.#lastFailure,
      coolingUntil: coolingMs > 0 ? Math.ceil(this.#clock.now() + coolingMs) : undefined,
    }
  }
}

/**
 * Two names are one deployment when they lead to the same place (the addresses of the environment are the process's own);
 * the offline model is in as many places as it has names.
 */
export function deploymentKey({ name, spec }: Candidate): string {
  if (spec.provider === 'offline') return `offline ${name}`
  return `${spec.provider} ${spec.baseUrl ?? ''} ${spec.deployment ?? spec.model ?? ''}`
}
