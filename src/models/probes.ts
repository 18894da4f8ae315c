import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { Deployment } from './deployment.ts'
import { clampCool } from './failures.ts'
import { ProbeFailure, type Provider } from './providers/provider.ts'
import type { ModelSpec } from './schema.ts'

export interface ProbesOptions {
  providerFor(spec: ModelSpec): Provider
  clock: Clock
  log: Log
  /** Whether a served config version still names the deployment. */
  inUse(deployment: Deployment): boolean
}

const PROBE_TIMEOUT_MS = 10_000

/** Asks deployments behind open circuits for one token once their time is over, so that no user has to be the first. */
export class Probes {
  readonly #options: ProbesOptions
  readonly #planned = new Map<Deployment, () => void>()
  readonly #running = new Map<AbortController, Promise<void>>()
  #closed = false

  constructor(options: ProbesOptions) {
    this.#options = options
  }

  /** Replaces a plan for the same deployment. */
  plan(deployment: Deployment, delayMs: number): void {
    this.#planned.get(deployment)?.()
    if (this.#closed) return
    const start = () => {
      this.#planned.delete(deployment)
      const abort = new AbortController()
      const done = this.#probe(deployment, abort).finally(() => this.#running.delete(abort))
      this.#running.set(abort, done)
    }
    this.#planned.set(deployment, this.#options.clock.after(delayMs, start))
  }

  /** For a deployment that comes into use with its circuit open: nobody planned for it then. */
  planIfOpen(deployment: Deployment): void {
    const { state, held, openUntil } = deployment.breaker
    if (state === 'closed' || held) return
    this.plan(deployment, Math.max(0, openUntil - this.#options.clock.monotonic()))
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const cancel of this.#planned.values()) cancel()
    this.#planned.clear()
    for (const abort of this.#running.keys()) abort.abort()
    await Promise.all(this.#running.values())
  }

  async #probe(deployment: Deployment, abort: AbortController): Promise<void> {
    const { providerFor, clock, log, inUse } = this.#options
    const { spec, breaker } = deployment
    if (!inUse(deployment) || breaker.state !== 'half-open') return
    const permit = breaker.admit()
    if (!permit) return
    const cancelTimer = clock.after(PROBE_TIMEOUT_MS, () => abort.abort())
    try {
      await providerFor(spec).probe(spec, abort.signal)
      breaker.speaks(permit)
    } catch (thrown) {
      const reason = thrown instanceof ProbeFailure ? thrown.reason : 'connect_failed'
      if (this.#closed) return
      log.info({ provider: spec.provider, reason }, 'A probe got no answer')
      if (reason !== 'rate_limited') return breaker.failure(permit)
      const coolMs = clampCool(undefined)
      deployment.cool(coolMs)
      breaker.neutral(permit)
      this.plan(deployment, coolMs)
    } finally {
      cancelTimer()
    }
  }
}
