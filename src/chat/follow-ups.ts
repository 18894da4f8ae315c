import type { FollowUp } from '#actions/port.ts'
import { ParleyError } from '#errors.ts'
import type { Principal } from '#identity/principal.ts'
import type { StartedTurn } from './chat.ts'
import { followUpInput } from './follow-up-text.ts'
import type { Opening } from './open-turn.ts'
import type { ChatRoom } from './turn-context.ts'
import { unreportedRuns } from './unreported.ts'

const POLL_MS = 5000
const LEASE_MS = 30_000
const TAKEN_AT_ONCE = 20
const HELD_AT_MOST = 200

/** Nobody is left to report to, or never will be able to read it. */
const HOPELESS: ReadonlySet<string> = new Set([
  'conversation_not_found',
  'specialist_not_found',
  // Not sealed_unreadable: a key that is missing here may be had on another replica, or later.
  'erased',
  // Of a key that was revoked, or made anew for something else.
  'unauthenticated',
  'key_scope',
  'idempotency_mismatch',
])

interface Held {
  followUp: FollowUp
  /** The lease ends, monotonic ms. */
  untilMs: number
  /** Not to be tried before, monotonic ms. */
  dueMs: number
}

/**
 * Has turns report what came of actions after the turn that asked for them had gone on, on every replica that produces
 * turns: woken when there may be some, and looking by itself every 5 s.
 *
 * due ──taken for a lease──▸ held ──turn opened, or nobody left to report to──▸ done
 * held ──conversation busy, store out of reach──▸ held, tried again with the next look ──lease over──▸ due, for any replica
 *
 * The turn is opened under an Idempotency-Key of the follow-up's own: whoever comes second (another replica, or the next
 * one after a crash between "opened" and "done") finds it open, and only notes that it is done.
 */
export class FollowUps {
  readonly #room: ChatRoom
  readonly #start: (principal: Principal, request: Opening) => Promise<StartedTurn>
  readonly #held = new Map<string, Held>()
  readonly #stopListening: () => void
  #cancelNext: () => void = () => {}
  #looking: Promise<void> | undefined
  #isWoken = false
  #isStopped = false

  constructor(room: ChatRoom, start: (principal: Principal, request: Opening) => Promise<StartedTurn>) {
    this.#room = room
    this.#start = start
    this.#stopListening = room.actions.onFollowUp(() => this.#wake())
    this.#schedule()
  }

  /** What is held is left to other replicas, as its lease ends. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#stopListening()
    this.#cancelNext()
    await this.#looking
  }

  #schedule(): void {
    this.#cancelNext = this.#room.clock.after(POLL_MS, () => this.#wake())
  }

  #wake(): void {
    this.#cancelNext()
    if (this.#looking) {
      this.#isWoken = true
      return
    }
    this.#looking = this.#look().then(() => {
      this.#looking = undefined
      if (this.#isStopped) return
      if (!this.#isWoken) return this.#schedule()
      this.#isWoken = false
      this.#wake()
    })
  }

  async #look(): Promise<void> {
    const { kv, clock, log } = this.#room
    for (const [id, { untilMs }] of this.#held) if (untilMs <= clock.monotonic()) this.#held.delete(id)
    // Without the store no turn can be opened: they are left to replicas that reach it.
    if (!kv.reachable) return
    try {
      await this.#take()
    } catch (error) {
      log.warn({ err: error }, 'Late results of actions could not be taken; the next look tries again')
    }
    const due = [...this.#held.values()].filter(({ dueMs }) => dueMs <= clock.monotonic())
    await Promise.all(due.map((held) => this.#report(held)))
  }

  async #take(): Promise<void> {
    const { actions, clock } = this.#room
    for (;;) {
      const limit = Math.min(TAKEN_AT_ONCE, HELD_AT_MOST - this.#held.size)
      if (limit === 0 || this.#isStopped) return
      const dueMs = clock.monotonic()
      const taken = await actions.takeFollowUps(limit, LEASE_MS)
      for (const followUp of taken) this.#held.set(followUp.id, { followUp, untilMs: dueMs + LEASE_MS, dueMs })
      if (taken.length < limit) return
    }
  }

  async #report(held: Held): Promise<void> {
    const { clock, isLive, log } = this.#room
    const { id, principal, conversation } = held.followUp
    if (this.#isStopped) return
    try {
      if (isLive && !(await isLive(principal))) throw new ParleyError('unauthenticated')
      const runs = await unreportedRuns(this.#room, held.followUp)
      if (runs.length === 0) return await this.#done(id)
      const turn = await this.#start(principal, {
        in: { conversation },
        message: '',
        followUp: followUpInput({ ...held.followUp, runs }),
        readOnly: true,
        idempotencyKey: `follow-up:${id}`,
      })
      if (turn.created) log.info({ followUp: id, turn: turn.id, runs: runs.length }, 'A turn reports late results')
    } catch (error) {
      if (!(error instanceof ParleyError && HOPELESS.has(error.code))) {
        // Half a look, so that the next one does not come a moment too early.
        held.dueMs = clock.monotonic() + POLL_MS / 2
        if (!(error instanceof ParleyError && error.retryable)) {
          log.error({ followUp: id, err: error }, 'Late results could not be reported; this is tried again')
        }
        return
      }
      log.info({ followUp: id, code: error.code }, 'There is nobody left to report late results to')
    }
    await this.#done(id)
  }

  async #done(id: string): Promise<void> {
    this.#held.delete(id)
    try {
      await this.#room.actions.followUpDone(id)
    } catch (error) {
      this.#room.log.warn({ followUp: id, err: error }, 'A reported follow-up could not be noted as done')
    }
  }
}
