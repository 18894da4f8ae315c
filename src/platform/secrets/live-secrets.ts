import type { Variables } from '#env/reader.ts'
import { ParleyError } from '#errors.ts'
import type { Log } from '#log.ts'
import { type Clock, delay } from '../clock.ts'
import type { SecretStore, Secrets } from './secrets.ts'

export interface LiveSecretsOptions {
  store: SecretStore
  /** The environment, which goes before the store. */
  variables: Variables
  clock: Clock
  refreshMs: number
  /** Why this process cannot go on with the new value of a variable, if it cannot. */
  unfit(variable: string, before: Variables, after: Variables): string | undefined
}

/** How long a start waits for the store. */
const patienceMs = 30_000
const firstPauseMs = 500
/** After a doubt, and while the store is away. */
const soonMs = 60_000

/** What the environment leaves out, read at the start, and again from time to time: what cannot be read keeps its last value. */
export class LiveSecrets implements Secrets {
  readonly #options: LiveSecretsOptions
  readonly #variables: Record<string, string | undefined>
  readonly #listeners = new Set<() => void>()
  readonly #closing = new AbortController()
  #found: readonly string[] = []
  #reachable = true
  #readAt = 0
  #next: { at: number; cancel: () => void } | undefined
  #refreshing: Promise<void> | undefined
  #log: Log | undefined

  constructor(options: LiveSecretsOptions) {
    this.#options = options
    this.#variables = { ...options.variables }
  }

  get engine(): SecretStore['engine'] {
    return this.#options.store.engine
  }

  get variables(): Variables {
    return this.#variables
  }

  get reachable(): boolean {
    return this.#reachable
  }

  /** Tries for a while where the store is away; rejects with all that is wrong, one sentence for each. */
  async open(wanted: readonly string[], signal: AbortSignal): Promise<void> {
    const endsAt = this.#options.clock.monotonic() + patienceMs
    const hopeless = new AbortController()
    const read = await Promise.allSettled(wanted.map((name) => this.#readPatiently(name, { endsAt, signal, hopeless })))
    signal.throwIfAborted()
    const failures = read.flatMap((one) => (one.status === 'rejected' ? [asFailure(one.reason)] : []))
    const lasting = failures.filter(({ code }) => code === 'environment_invalid')
    const told = lasting.length > 0 ? lasting : failures
    if (told[0]) {
      const sentences = new Set(told.map(({ message }) => message))
      throw new ParleyError(told[0].code, { message: [...sentences].join(' ') })
    }
    for (const [index, one] of read.entries()) {
      const name = wanted[index]
      if (name !== undefined && one.status === 'fulfilled' && one.value !== undefined) this.#variables[name] = one.value
    }
    this.#found = wanted.filter((name) => this.#variables[name] !== undefined)
    this.#readAt = this.#options.clock.monotonic()
  }

  keepFresh(log: Log): () => Promise<void> {
    this.#log = log
    if (this.#found.length > 0) this.#planNext()
    return async () => {
      this.#closing.abort()
      this.#next?.cancel()
      await this.#refreshing
    }
  }

  doubt(): void {
    if (this.#found.length > 0 && this.#log) this.#plan(this.#readAt + soonMs)
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** `hopeless` ends all waiting: beside one that no waiting mends, the others need not be waited for. */
  async #readPatiently(
    name: string,
    { endsAt, signal, hopeless }: { endsAt: number; signal: AbortSignal; hopeless: AbortController },
  ): Promise<string | undefined> {
    const { store, clock } = this.#options
    const waiting = AbortSignal.any([signal, hopeless.signal])
    for (let pauseMs = firstPauseMs; ; pauseMs *= 2) {
      try {
        return await store.read(name, signal)
      } catch (error) {
        const isAway = error instanceof ParleyError && error.code === 'secrets_unavailable'
        if (!isAway) hopeless.abort(error)
        const waitMs = Math.max((isAway && error.retryAfterMs) || 0, pauseMs * (0.5 + Math.random() / 2))
        if (!isAway || clock.monotonic() + waitMs >= endsAt) throw error
        await delay(clock, waitMs, waiting)
      }
    }
  }

  /** Each replica at a time of its own. */
  #planNext(): void {
    const { clock, refreshMs } = this.#options
    const inMs = this.#reachable ? refreshMs * (0.9 + Math.random() / 10) : Math.min(refreshMs, soonMs)
    this.#plan(clock.monotonic() + inMs)
  }

  #plan(at: number): void {
    if (this.#closing.signal.aborted || this.#refreshing || (this.#next && this.#next.at <= at)) return
    this.#next?.cancel()
    const { clock } = this.#options
    const cancel = clock.after(Math.max(0, at - clock.monotonic()), () => {
      this.#next = undefined
      this.#refreshing = this.#refresh().finally(() => {
        this.#refreshing = undefined
        this.#planNext()
      })
    })
    this.#next = { at, cancel }
  }

  async #refresh(): Promise<void> {
    const { store, clock } = this.#options
    const { signal } = this.#closing
    this.#readAt = clock.monotonic()
    const read = await Promise.allSettled(this.#found.map((name) => store.read(name, signal)))
    if (signal.aborted) return
    let isAway = false
    const rotated: string[] = []
    for (const [index, one] of read.entries()) {
      const variable = this.#found[index] ?? ''
      if (one.status === 'fulfilled') {
        if (this.#take(variable, one.value)) rotated.push(variable)
      } else if (one.reason instanceof ParleyError && one.reason.code === 'environment_invalid') {
        this.#keep(variable, one.reason.message)
      } else {
        isAway = true
        if (this.#reachable) {
          const { reason } = one
          this.#log?.warn({ variable, err: reason }, 'The vault of secrets is out of reach; the last values hold')
        }
        this.#reachable = false
      }
    }
    if (!isAway && !this.#reachable) this.#log?.info('The vault of secrets is within reach')
    this.#reachable = !isAway
    if (rotated.length === 0) return
    this.#log?.info({ variables: rotated }, 'Secrets were rotated')
    for (const listener of this.#listeners) listener()
  }

  #take(variable: string, value: string | undefined): boolean {
    const before = this.#variables
    if (value === before[variable]) return false
    const fault =
      value === undefined
        ? 'It is not in the vault any more.'
        : this.#options.unfit(variable, before, { ...before, [variable]: value })
    if (fault !== undefined) this.#keep(variable, fault)
    else this.#variables[variable] = value
    return fault === undefined
  }

  #keep(variable: string, fault: string): void {
    this.#log?.warn({ variable, fault }, 'A secret keeps its last value')
  }
}

/** Anything else is a fault of ours. */
function asFailure(reason: unknown): ParleyError {
  if (reason instanceof ParleyError) return reason
  throw reason
}
