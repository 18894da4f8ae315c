import type { Clock } from '#platform/clock.ts'
import { isSettled, type Run } from './port.ts'

const MAX_SETTLED = 10_000
const SETTLED_AGE_MS = 3_600_000

/** A run with those who wait for it. */
export interface Entry {
  run: Run
  readonly turn: string
  readonly listeners: Set<(run: Run) => void>
}

/** Runs by key: all that are under way, and those settled lately, so that a call made again finds its run. */
export class RunMemory {
  readonly #clock: Clock
  readonly #live = new Map<string, Entry>()
  /** In the order in which they settled. */
  readonly #settled = new Map<string, { entry: Entry; at: number }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get(key: string): Entry | undefined {
    this.#forgetOld()
    return this.#live.get(key) ?? this.#settled.get(key)?.entry
  }

  add(run: Run, turn: string): Entry {
    const entry = { run, turn, listeners: new Set<(run: Run) => void>() }
    this.#live.set(run.key, entry)
    return entry
  }

  liveOf(turn: string): Entry[] {
    return [...this.#live.values()].filter((entry) => entry.turn === turn)
  }

  update(entry: Entry, change: Pick<Run, 'status'> & Partial<Pick<Run, 'output'>>): void {
    entry.run = { ...entry.run, ...change }
    if (isSettled(entry.run)) {
      this.#live.delete(entry.run.key)
      this.#settled.set(entry.run.key, { entry, at: this.#clock.monotonic() })
      this.#forgetOld()
    }
    for (const listener of [...entry.listeners]) listener(entry.run)
  }

  #forgetOld(): void {
    const oldest = this.#clock.monotonic() - SETTLED_AGE_MS
    for (const [key, { at }] of this.#settled) {
      if (this.#settled.size <= MAX_SETTLED && at >= oldest) return
      this.#settled.delete(key)
    }
  }
}
