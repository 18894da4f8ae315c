import { isDeepStrictEqual } from 'node:util'
import { ParleyError } from '#errors.ts'
import type { Log } from '#log.ts'
import type { Kv } from '#platform/kv/kv.ts'
import { orderable, type RollbackOrder, underOrder } from './rollback-order.ts'
import type { RolloutState, Transition } from './state.ts'
import type { StateBlob } from './state-blob.ts'
import type { CounterStore } from './store/counter-store.ts'
import { newsKey } from './store/keys.ts'
import { takeBack } from './take-back.ts'
import { type Occasion, restore, rollBack } from './transitions.ts'

export interface SharedStateOptions {
  blob: StateBlob
  counters: CounterStore
  kv: Kv
  log: Log
  /** Hears of what this replica wrote, once it is known to be written. */
  onWritten?: ((step: Transition) => void) | undefined
  /** Another state holds from now on. */
  onChange(): void
}

/**
 * The state as this replica holds to it: the blob's (or what else is known, where that says nothing that follows from it), under an
 * order to roll back if there is one. Whoever finds that the blob does not say so yet writes it there.
 */
export class SharedState {
  /** Whether the last attempt at the blob came to something. */
  reachable = true
  readonly #options: SharedStateOptions
  #order: RollbackOrder | undefined
  /** A step whose write was not answered: it may be there. */
  #unsure: Transition | undefined
  #present: RolloutState

  constructor(initial: RolloutState, options: SharedStateOptions) {
    this.#present = initial
    this.#options = options
  }

  /** What the store has is no state: what was known last holds, and only rolling back and restoring change it. */
  get isUnreadable(): boolean {
    return this.#options.blob.isUnreadable
  }

  /** What the store has is a state, and none that follows from what is known: all else is as with one that cannot be read. */
  get diverged(): RolloutState | undefined {
    return this.#options.blob.diverged
  }

  get present(): RolloutState {
    return this.#present
  }

  /** Of the state, not of the blob: it is the same on every replica, also while the blob is away. */
  get etag(): string {
    return String(this.#present.epoch)
  }

  /** Looks what the blob says and what was ordered. Never rejects: what cannot be looked at stays as it was. */
  async look(): Promise<void> {
    await this.#readBlob()
    await this.#readOrder()
    this.#settle()
    await this.#reconcile()
  }

  /**
   * Moves on from the present state. Rejects with version_conflict when somebody was quicker (the present state is theirs then),
   * with blob_unavailable, and with what the transition throws.
   */
  async move(transition: (state: RolloutState) => RolloutState): Promise<void> {
    const next = transition(this.#present)
    // A rollback that is ordered and not written yet is a step of its own, with its line in the history.
    const isBehind = this.#base.epoch < this.#present.epoch
    if ((!isBehind || (await this.#write(this.#present))) && (await this.#write(next))) return
    await this.look()
    throw new ParleyError('version_conflict')
  }

  /**
   * Rolls back by the system: ordered first, so that all replicas hold to it within a moment, then written. Rejects when neither
   * can be done.
   */
  async rollBackNow(occasion: Occasion): Promise<void> {
    if (await this.#giveOrder(occasion)) await this.#reconcile()
    else await this.move((state) => rollBack(state, occasion))
  }

  /** The same by an operator, who has to win over others: ordered only where the blob cannot be written. */
  async rollBackBy(occasion: Occasion): Promise<void> {
    try {
      await this.move((state) => rollBack(state, occasion))
    } catch (error) {
      if (!isBlobAway(error) || !(await this.#giveOrder(occasion))) throw error
    }
  }

  /**
   * Puts what is known in the place of what cannot be read or does not follow from it: what the history ends with, where that is
   * newer than what this replica knows. With `take`, what the store has is taken instead, if its epoch is that. A rollback that was
   * ordered meanwhile follows, as a step of its own. Rejects with version_conflict when somebody was quicker, rollout_state where
   * there is nothing to put right or to take, blob_unavailable.
   */
  async restoreBy(occasion: Occasion, take: number | undefined): Promise<void> {
    const { blob } = this.#options
    const { isUnreadable, diverged } = blob
    if (!isUnreadable && !diverged) refuse('The state of the rollout is what is known; there is nothing to restore.')
    if (take !== undefined && diverged?.epoch !== take) refuse(`The store has no state of epoch ${take} to take.`)
    const [lastEpoch, recorded] = await Promise.all([blob.lastEpoch(), blob.recorded()])
    const base = this.#base
    const known = recorded && recorded.epoch > base.epoch ? recorded : base
    const epoch = Math.max(lastEpoch, known.epoch) + 1
    const next =
      take !== undefined && diverged ? takeBack(known, diverged, epoch, occasion) : restore(known, epoch, occasion)
    if (await this.#write(next, true)) return this.#reconcile()
    await this.look()
    throw new ParleyError('version_conflict')
  }

  async #giveOrder(occasion: Occasion): Promise<boolean> {
    const { counters, log } = this.#options
    const rollout = orderable(this.#present)
    if (rollout === undefined) return false
    try {
      this.#order = await counters.order({ rollout, ...occasion })
    } catch (error) {
      log.warn({ err: error, rollout }, 'A rollback could not be ordered through the live state')
      return false
    }
    this.#settle()
    return true
  }

  /** Writes what is held to where the blob does not say so yet. */
  async #reconcile(): Promise<void> {
    if (!this.reachable || this.#base.epoch >= this.#present.epoch) return
    const isWritten = await this.#write(this.#present).catch(() => undefined)
    if (isWritten !== false) return
    // Another replica was quicker, most likely with the same.
    await this.#readBlob()
    this.#settle()
  }

  async #write(next: RolloutState, isInPlace = false): Promise<boolean> {
    const { blob, kv } = this.#options
    this.#unsure = next.last
    try {
      const isWritten = await (isInPlace ? blob.replace(next) : blob.write(next))
      this.#unsure = undefined
      if (!isWritten) return false
      this.#found(true)
      this.#options.onWritten?.(next.last)
    } catch (error) {
      if (isBlobAway(error)) this.#found(false, error)
      // It may have come to light that another one is known.
      this.#settle()
      throw error
    }
    this.#settle()
    kv.signal(newsKey).catch(() => {})
    return true
  }

  async #readBlob(): Promise<void> {
    try {
      await this.#options.blob.read()
      this.#found(true)
      this.#recognise()
    } catch (error) {
      this.#found(false, error)
    }
  }

  #recognise(): void {
    const { last } = this.#base
    const unsure = this.#unsure
    if (!unsure || last.epoch < unsure.epoch) return
    this.#unsure = undefined
    if (isDeepStrictEqual(placeOf(last), placeOf(unsure))) this.#options.onWritten?.(last)
  }

  async #readOrder(): Promise<void> {
    const rollout = orderable(this.#base)
    if (rollout === undefined || this.#order?.rollout === rollout) return
    this.#order = await this.#options.counters.ordered(rollout).catch(() => undefined)
  }

  get #base(): RolloutState {
    return this.#options.blob.state ?? this.#present
  }

  #settle(): void {
    const present = underOrder(this.#base, this.#order)
    // Of the same epoch it is another where the copy was of another journey.
    const isNews = !isDeepStrictEqual(present, this.#present)
    this.#present = present
    if (isNews) this.#options.onChange()
  }

  #found(reachable: boolean, error?: unknown): void {
    if (reachable === this.reachable) return
    this.reachable = reachable
    if (reachable) this.#options.log.info('The state of the rollout is within reach')
    else this.#options.log.warn({ err: error }, 'The state of the rollout is out of reach; what was known holds')
  }
}

function isBlobAway(error: unknown): boolean {
  return error instanceof ParleyError && away.has(error.code)
}

const away: ReadonlySet<string> = new Set(['blob_unavailable', 'rollout_state_unreadable', 'rollout_state_diverged'])

/** By which a step is told from all others. */
function placeOf({ epoch, at, rollout, to, by }: Transition) {
  return [epoch, at, rollout, to, by]
}

function refuse(message: string): never {
  throw new ParleyError('rollout_state', { message })
}
