import { isDeepStrictEqual } from 'node:util'
import { ParleyError } from '#errors.ts'
import type { Log } from '#log.ts'
import type { BlobStore } from '#platform/blob/blob.ts'
import type { Kv } from '#platform/kv/kv.ts'
import { History } from './history.ts'
import type { RolloutState, Transition } from './state.ts'
import { lastStateKey } from './store/keys.ts'
import { keepNewest } from './store/records.ts'
import { encodeState, parseState } from './stored-state.ts'

const NAME = 'state.json'

/** What is there and does not follow from what is known: no state, an older one, another of the same epoch, or of another place. */
interface Stray {
  etag: string
  /** Undefined where it cannot be read. */
  state: RolloutState | undefined
}

/**
 * The state as the blob store has it, and its history. Written with `If-Match`, so of two who write at once one is told. Epochs
 * only rise: what was put there by other hands and does not follow from what is known is not taken, and nothing is written over it
 * until an operator has decided. Beside it, the live state's store keeps a copy, for replicas that start while the blob store is
 * away.
 */
export class StateBlob {
  /** As last read or written, or what is held to; undefined before, and where there is none. */
  state: RolloutState | undefined
  readonly #blobs: BlobStore
  readonly #kv: Kv
  readonly #log: Log
  readonly #history: History
  #etag: string | undefined
  #stray: Stray | undefined
  /** What has fewer was put back by somebody. */
  #leastEpoch = 0
  /** What is held to is the copy: it may be of a journey that was set back since, or of another container's. */
  #isCopy = false

  constructor({ blobs, kv, log }: { blobs: BlobStore; kv: Kv; log: Log }) {
    this.#blobs = blobs
    this.#kv = kv
    this.#log = log
    this.#history = new History(blobs)
  }

  /** What is there is no state. */
  get isUnreadable(): boolean {
    return this.#stray !== undefined && !this.#stray.state
  }

  /** What is there is a state, and does not follow from what is known. */
  get diverged(): RolloutState | undefined {
    return this.#stray?.state
  }

  /** True when there is another than before. Rejects with blob_unavailable and as a stray does; what was known stays. */
  async read(): Promise<boolean> {
    const found = await this.#blobs.get(NAME, this.#etag === undefined ? {} : { ifNot: this.#etag })
    if (found === undefined || found === 'unchanged') {
      this.#stray = undefined
      return found === undefined && this.#putBack()
    }
    const { etag, bytes } = found
    const state = parseState(bytes)
    if (!state || this.#isStray(state) || !(await this.#isFollowing(state))) this.#refuse({ etag, state }, bytes.length)
    const { state: known } = this
    const wasCopy = this.#isCopy
    this.#stray = undefined
    this.#know(state)
    this.#etag = etag
    if (wasCopy) return this.#compareWith(known)
    const isNews = state.epoch !== known?.epoch
    if (isNews) this.keep()
    return isNews
  }

  /**
   * Of what was read: whether the history has gone on from it, or does not lead to it. Then somebody has put it there, and what the
   * history ends with is what is known; else the copy is put right where it says something else. Never rejects: what cannot be
   * looked at now is looked at before the next state is written.
   */
  async compare(): Promise<void> {
    const { state } = this
    if (!state) return
    try {
      if (!(await this.#history.leadsTo(state))) await this.#setAside(state, await this.#ending())
      if (await this.#checkNext(state.epoch + 1)) await this.#correctCopy(state)
    } catch {}
  }

  /** What is known by the history: for as long as the blob says nothing that follows from it. */
  hold(known: RolloutState): void {
    this.#know(known)
  }

  /** What is known by the copy alone: until the blob can be read, which counts then unless the history has gone on from it. */
  holdCopy(kept: RolloutState): void {
    this.state = kept
    this.#isCopy = true
  }

  /**
   * The state that follows the one that is known, with its line in the history. False when somebody was quicker. Rejects with
   * blob_unavailable and as a stray does.
   */
  async write(next: RolloutState): Promise<boolean> {
    if (this.#stray) throw faultOf(this.#stray)
    if (this.#isCopy && (await this.read())) return false
    if (!(await this.#checkNext(next.epoch))) return false
    return this.#write(next, this.#etag)
  }

  /** Puts a state in the place of the stray. False when somebody was quicker. Rejects with blob_unavailable. */
  async replace(next: RolloutState): Promise<boolean> {
    return this.#write(next, this.#stray?.etag)
  }

  async #write(next: RolloutState, etag: string | undefined): Promise<boolean> {
    if (this.state) await this.#history.record(this.state)
    const condition = etag === undefined ? ({ absent: true } as const) : { ifMatch: etag }
    const written = await this.#blobs.put(NAME, encodeState(next), condition)
    if (!written) return false
    this.#stray = undefined
    this.#know(next)
    this.#etag = written.etag
    const { epoch, rollout, candidate, from, to, by } = next.last
    this.#log.info({ epoch, rollout, candidate, from, to, by }, 'The rollout moved')
    this.keep()
    await this.#history
      .record(next)
      .catch((error: unknown) =>
        this.#log.warn({ err: error, epoch }, 'A line of the history could not be written; the next writer adds it'),
      )
    return true
  }

  /** Adds the present line to the history where it is missing. */
  async complete(): Promise<void> {
    if (this.state && !this.#isCopy) await this.#history.record(this.state)
  }

  /** Newest first. Rejects with blob_unavailable. */
  async history(limit: number): Promise<Transition[]> {
    return this.state ? this.#history.lines(this.state.last, limit) : []
  }

  /** What a store has that begins anew, beside an old history: epochs go on from there. */
  lastEpoch(): Promise<number> {
    return this.#history.lastEpoch()
  }

  /** The copy that is kept in the live state's store. */
  async kept(): Promise<RolloutState | undefined> {
    const found = await this.#kv.get(lastStateKey)
    return found && parseState(found.value)
  }

  /** The state that the history ends with, where its last line has it. Rejects with blob_unavailable. */
  recorded(): Promise<RolloutState | undefined> {
    return this.#history.ending()
  }

  /**
   * Where the state is gone and the history is not: puts the copy back, if it is what the history ends with. What was put there, by
   * whomever, is the state then.
   */
  async restore(lastEpoch: number): Promise<void> {
    const kept = await this.#keptAt(lastEpoch)
    if (!kept) return
    this.#log.error({ epoch: kept.epoch }, 'The state of the rollout has vanished; it is put back')
    await this.#blobs.put(NAME, encodeState(kept), { absent: true })
    await this.read()
  }

  /** Of another rollout container's journey the copy means nothing. */
  async forgetKept(): Promise<void> {
    await this.#kv.delete(lastStateKey)
  }

  /** Best effort: the blob is the truth. */
  keep(): void {
    const { state } = this
    if (state) this.#kv.run(keepNewest, [lastStateKey], [state.epoch, encodeState(state)]).catch(() => {})
  }

  /** The copy, where it is what the history ends with: of another container's journey it means nothing. */
  async #keptAt(lastEpoch: number): Promise<RolloutState | undefined> {
    const kept = await this.kept().catch(() => undefined)
    if (kept?.epoch !== lastEpoch) return undefined
    const line = await this.#history.line(lastEpoch)
    return line && isDeepStrictEqual(line.line, kept.last) ? kept : undefined
  }

  /** Of the blob, in the place of the copy that was held to: true when that said something else. Rejects as a stray does. */
  async #compareWith(kept: RolloutState | undefined): Promise<boolean> {
    await this.compare()
    if (this.#stray) throw faultOf(this.#stray)
    return !isDeepStrictEqual(this.state, kept)
  }

  /**
   * A state is written before its copy. So a copy that is not behind and of something else, with the blob as it was, is of what was
   * set back, or of another container: it would mislead whoever starts without the blob.
   */
  async #correctCopy(state: RolloutState): Promise<void> {
    const copy = await this.#kv.get(lastStateKey)
    if (!copy || copy.version < state.epoch || isDeepStrictEqual(parseState(copy.value), state)) return
    if (await this.read()) return
    await this.#kv.delete(lastStateKey, { ifVersion: copy.version })
    this.keep()
  }

  #know(state: RolloutState): void {
    this.state = state
    this.#leastEpoch = state.epoch
    this.#isCopy = false
  }

  /** Of one that is some steps ahead: each of them has its line before the next is taken. */
  async #isFollowing(found: RolloutState): Promise<boolean> {
    const { state } = this
    if (!state || this.#isCopy || found.epoch <= state.epoch + 1) return true
    return this.#history.leadsTo(found)
  }

  #isStray(found: RolloutState): boolean {
    if (this.#isCopy) return false
    if (found.epoch < this.#leastEpoch) return true
    const { state } = this
    return found.epoch === state?.epoch && !isDeepStrictEqual(found, parseState(encodeState(state)))
  }

  #refuse(stray: Stray, bytes?: number): never {
    const { etag, state } = stray
    if (this.#stray?.etag !== etag) {
      this.#history.doubt()
      const { epoch = 0 } = state ?? {}
      const known = this.#leastEpoch
      if (epoch > known)
        this.#log.error(
          { etag, epoch, known },
          'The state of the rollout does not follow from its history; what is known stays',
        )
      else if (state)
        this.#log.error({ etag, epoch, known }, 'The state of the rollout was set back; what is known stays')
      else this.#log.error({ etag, bytes }, 'The state of the rollout cannot be read; the last one stays')
    }
    this.#stray = stray
    throw faultOf(stray)
  }

  /**
   * Whether `epoch` may be the next. A line of it is there once its state was: unless that state is read now, it was taken away, and
   * what is read in its place was put back. False when somebody was quicker.
   */
  async #checkNext(epoch: number): Promise<boolean> {
    if (!(await this.#history.line(epoch))) return true
    if (await this.read()) return false
    const { state } = this
    if (!state || this.#etag === undefined || state.epoch >= epoch) return false
    await this.#setAside(state, (await this.#ending()) ?? state)
    return false
  }

  /** What the history ends with, if it or the copy has it. */
  async #ending(): Promise<RolloutState | undefined> {
    return (await this.recorded()) ?? (await this.#keptAt(await this.lastEpoch()))
  }

  /** Of what was read and is not to be followed, in favour of `known`. Rejects as a stray does, unless nothing is known. */
  async #setAside(state: RolloutState, known: RolloutState | undefined): Promise<void> {
    if (!known || this.#etag === undefined) return
    const stray = { etag: this.#etag, state }
    this.#leastEpoch = await this.lastEpoch()
    this.#etag = undefined
    this.state = known
    this.#refuse(stray)
  }

  /** What somebody took away is put back as it was, or as another replica has left it. True when that is news. */
  async #putBack(): Promise<boolean> {
    const { state: known } = this
    if (!known) return false
    const recorded = await this.recorded()
    const isNews = recorded !== undefined && recorded.epoch > known.epoch
    const state = isNews ? recorded : known
    this.#log.error({ epoch: state.epoch }, 'The state of the rollout has vanished; it is put back')
    const written = await this.#blobs.put(NAME, encodeState(state), { absent: true })
    this.hold(state)
    this.#etag = written?.etag
    return isNews
  }
}

function faultOf({ state }: Stray): ParleyError {
  return new ParleyError(state ? 'rollout_state_diverged' : 'rollout_state_unreadable')
}
