import type { EventEmitter } from 'node:events'
import { ParleyError } from './errors.ts'
import { type Clock, waitAtMost } from './platform/clock.ts'

/** What the process is told from outside. */
export interface StopSignals {
  /** Which signal came first; pending until then. */
  readonly told: Promise<NodeJS.Signals>
  /** Aborted by it. */
  readonly signal: AbortSignal
  /** How long stopping may take from the first signal on. Before this is called: as long as a start that is given up. */
  allow(withinMs: number): void
}

export interface StopSignalsOptions {
  /** `process`. */
  from: Pick<EventEmitter, 'on'>
  /** Its timers keep no process alive: who has stopped in time ends by itself. */
  clock: Clock
  /** Ends the process, whatever it is about. */
  end(reason: string): void
}

/** What is not served yet has nothing to bring to an end. */
const STARTING_MS = 5000
/** A terminal tells npm and us, and npm tells us what it was told. */
const ECHO_MS = 1000

/**
 * SIGTERM and SIGINT.
 *
 *     running ── a signal ──▶ stopping ── nothing is left to do ──▶ the process ends by itself
 *                                ├── the time is up ────────────▶ it is ended
 *                                └── another signal, later ─────▶ it is ended
 *
 * The listeners stay from first to last. One that another takes the place of loses the signal that Node has taken from the system
 * and not told yet, as happens when the process is held up right after it has said that it is ready.
 */
export function hearStopSignals({ from, clock, end }: StopSignalsOptions): StopSignals {
  const first = Promise.withResolvers<NodeJS.Signals>()
  const aborting = new AbortController()
  let limitMs = STARTING_MS
  let toldAt: number | undefined
  let cancel = () => {}

  function watch(sinceMs: number): void {
    cancel()
    const leftMs = sinceMs + limitMs - clock.monotonic()
    cancel = waitAtMost(clock, Math.max(0, leftMs), () => end(`it has not stopped within ${limitMs} ms`))
  }

  function hear(signal: NodeJS.Signals): void {
    const now = clock.monotonic()
    if (toldAt !== undefined) {
      if (now - toldAt >= ECHO_MS) end(`${signal}, while it was stopping`)
      return
    }
    toldAt = now
    watch(toldAt)
    aborting.abort(new ParleyError('shutting_down'))
    first.resolve(signal)
  }

  from.on('SIGTERM', hear)
  from.on('SIGINT', hear)
  return {
    told: first.promise,
    signal: aborting.signal,
    allow(withinMs) {
      limitMs = withinMs
      if (toldAt !== undefined) watch(toldAt)
    },
  }
}
