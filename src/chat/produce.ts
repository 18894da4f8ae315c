import { asParleyError, ParleyError } from '#errors.ts'
import type { ChatMessage } from '#models/answer.ts'
import { ownCalls, settleCalls } from './calls.ts'
import { keepCarriedCalls } from './carried-calls.ts'
import type { End } from './ending.ts'
import { turnLimits } from './limits.ts'
import { candidatesOf, lostSegment, promptOf } from './prepare.ts'
import { runStep } from './step.ts'
import { type TurnContext, TurnStop } from './turn-context.ts'
import { servedOf } from './turn-ended.ts'

/**
 * The loop of a turn, from wherever its progress stands: the same for a producer and for its successor.
 *
 * step open ──answer without calls──▸ end
 * step open ──answer with calls──▸ calls open ──all answered──▸ next step open
 * calls open ──some are the caller's own──▸ end
 *
 * Returns how the turn ends. Rejects with a `TurnStop` when it is not ours to end it.
 */
export async function produce(
  turn: TurnContext,
  history: readonly ChatMessage[],
  takenOver: boolean,
  deadline: Deadline,
): Promise<End> {
  const { progress, signal, room, input, config } = turn
  try {
    turn.candidates = candidatesOf(config, input.specialist)
    turn.prompt = await promptOf(room, input, config, history)
    const lost = takenOver ? await lostSegment(turn) : undefined
    if (lost) {
      room.budgets?.spending(input.principal, servedOf(input))?.charge(lost.costUsd)
      turn.emit('usage', { ...lost, step: progress.current.step })
    }
    for (;;) {
      signal.throwIfAborted()
      const { finish, calls } = progress.current
      if (calls.length > 0) {
        deadline.suspend()
        await settleCalls(turn)
        deadline.resume()
        if (ownCalls(turn).length < calls.length) {
          await keepCarriedCalls(turn)
          return { status: 'completed', finish: 'tool_calls' }
        }
        progress.advance()
      } else if (finish) {
        return { status: 'completed', finish }
      } else {
        await runStep(turn)
      }
    }
  } catch (error) {
    return endOf(error, signal)
  }
}

function endOf(error: unknown, signal: AbortSignal): End {
  const stop = signal.aborted ? signal.reason : undefined
  if (!(stop instanceof TurnStop)) return { status: 'failed', error: asParleyError(error) }
  if (stop.kind === 'length') return { status: 'completed', finish: 'length' }
  if (stop.kind === 'cancelled') return { status: 'cancelled' }
  if (stop.error) return { status: 'failed', error: stop.error }
  if (stop.kind === 'deadline') return { status: 'failed', error: new ParleyError('turn_deadline') }
  if (stop.kind === 'shut-down') return { status: 'failed', error: new ParleyError('shutting_down') }
  if (stop.kind === 'out-of-reach' || stop.kind === 'gone')
    return { status: 'failed', error: new ParleyError('turn_lost') }
  throw stop
}

/** Production time of a turn: stands still while the turn waits for actions. */
export class Deadline {
  readonly #after: (delayMs: number, task: () => void) => () => void
  readonly #now: () => number
  readonly #onExpiry: () => void
  #leftMs = turnLimits.productionMs
  #since = 0
  #stop: (() => void) | undefined

  constructor(clock: TurnContext['room']['clock'], onExpiry: () => void) {
    this.#after = clock.after
    this.#now = clock.monotonic
    this.#onExpiry = onExpiry
    this.resume()
  }

  resume(): void {
    if (this.#stop) return
    this.#since = this.#now()
    this.#stop = this.#after(this.#leftMs, this.#onExpiry)
  }

  suspend(): void {
    this.#stop?.()
    this.#stop = undefined
    this.#leftMs = Math.max(0, this.#leftMs - (this.#now() - this.#since))
  }
}
