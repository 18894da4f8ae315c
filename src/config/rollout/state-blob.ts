import { isDeepStrictEqual } from 'node:util'
import { ParleyError } from '#errors.ts'
import type { Log } from '#log.ts'
import type { BlobStore } from '#platform/blob/blob.ts'
import type { Kv } from '#platform/kv/kv.ts'
import type { RolloutState, Transition } from './state.ts'
import { lastStateKey } from './store/keys.ts'
import { keepNewest } from './store/records.ts'
import { encodeLine, encodeState, parseLine, parseState, type StoredLine } from './stored-state.ts'

const NAME = 'state.json'

/**
 * The state as the blob store has it, and its history. Written with `If-Match`, so of two who write at once one is told. Beside
 * it, the live state's store keeps a copy, for replicas that start while the blob store is away.
 */
export class StateBlob {
  /** As last read or written; undefined before, and where there is none. */
  state: RolloutState | undefined
  readonly #blobs: BlobStore
  readonly #kv: Kv
  readonly #log: Log
  #etag: string | undefined
  /** The tag of what is there and is no state. */
  #unreadable: string | undefined
  /** The history is known to have every line up to this epoch. */
  #recorded = 0

  constructor({ blobs, kv, log }: { blobs: BlobStore; kv: Kv; log: Log }) {
    this.#blobs = blobs
    this.#kv = kv
    this.#log = log
  }

  /** What is there cannot be read: nothing is written until an operator has put it right. */
  get isUnreadable(): boolean {
    return this.#unreadable !== undefined
  }

  /** True when there is another than before. Rejects with blob_unavailable, rollout_state_unreadable; what was known stays. */
  async read(): Promise<boolean> {
    const found = await this.#blobs.get(NAME, this.#etag === undefined ? {} : { ifNot: this.#etag })
    const state = found === undefined || found === 'unchanged' ? undefined : parseState(found.bytes)
    if (found !== undefined && found !== 'unchanged' && !state) {
      if (this.#unreadable !== found.etag) {
        const { etag, bytes } = found
        this.#log.error({ etag, bytes: bytes.length }, 'The state of the rollout cannot be read; the last one stays')
      }
      this.#unreadable = found.etag
      throw new ParleyError('rollout_state_unreadable')
    }
    this.#unreadable = undefined
    if (found === 'unchanged') return false
    if (!found || !state) {
      await this.#putBack()
      return false
    }
    const isNews = state.epoch !== this.state?.epoch
    this.state = state
    this.#etag = found.etag
    if (isNews) this.keep()
    return isNews
  }

  /**
   * The state that follows the one that is known, with its line in the history. False when somebody was quicker. Rejects with
   * blob_unavailable, rollout_state_unreadable.
   */
  async write(next: RolloutState): Promise<boolean> {
    if (this.#unreadable !== undefined) throw new ParleyError('rollout_state_unreadable')
    return this.#write(next, this.#etag)
  }

  /** Puts a state in the place of what cannot be read. False when somebody was quicker. Rejects with blob_unavailable. */
  async replace(next: RolloutState): Promise<boolean> {
    return this.#write(next, this.#unreadable)
  }

  async #write(next: RolloutState, etag: string | undefined): Promise<boolean> {
    if (this.state) await this.#record(this.state)
    const condition = etag === undefined ? ({ absent: true } as const) : { ifMatch: etag }
    const written = await this.#blobs.put(NAME, encodeState(next), condition)
    if (!written) return false
    this.state = next
    this.#unreadable = undefined
    this.#etag = written.etag
    const { epoch, rollout, candidate, from, to, by } = next.last
    this.#log.info({ epoch, rollout, candidate, from, to, by }, 'The rollout moved')
    this.keep()
    await this.#record(next).catch((error: unknown) =>
      this.#log.warn({ err: error, epoch }, 'A line of the history could not be written; the next writer adds it'),
    )
    return true
  }

  /** Adds the present line to the history where it is missing. */
  async complete(): Promise<void> {
    if (this.state) await this.#record(this.state)
  }

  /** Newest first. Rejects with blob_unavailable. */
  async history(limit: number): Promise<Transition[]> {
    const { epoch = 0, last } = this.state ?? {}
    const epochs = Array.from({ length: Math.min(limit, epoch) }, (_, back) => epoch - back)
    const lines = await Promise.all(
      epochs.map(async (at) => {
        if (at === last?.epoch) return last
        return (await this.#line(at))?.line
      }),
    )
    return lines.filter((line) => line !== undefined)
  }

  /** What a store has that begins anew, beside an old history: epochs go on from there. */
  async lastEpoch(): Promise<number> {
    let highest = 0
    for await (const { name } of this.#blobs.list('history/')) {
      highest = Math.max(highest, Number(/^history\/(\d+)\.json$/.exec(name)?.[1] ?? 0))
    }
    return highest
  }

  /** The copy that is kept in the live state's store. */
  async kept(): Promise<RolloutState | undefined> {
    const found = await this.#kv.get(lastStateKey)
    return found && parseState(found.value)
  }

  /** The state that the history ends with, where its last line has it. Rejects with blob_unavailable. */
  async recorded(): Promise<RolloutState | undefined> {
    return (await this.#line(await this.lastEpoch()))?.state
  }

  /**
   * Where the state is gone and the history is not: puts the copy back, if it is what the history ends with. Of another container's
   * journey it means nothing. What was put there, by whomever, is the state then.
   */
  async restore(lastEpoch: number): Promise<void> {
    const kept = await this.kept().catch(() => undefined)
    if (!kept || kept.epoch !== lastEpoch) return
    const line = await this.#line(lastEpoch)
    if (!line || !isDeepStrictEqual(line.line, kept.last)) return
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

  /** What somebody took away is put back as it was. */
  async #putBack(): Promise<void> {
    if (!this.state) return
    this.#log.error({ epoch: this.state.epoch }, 'The state of the rollout has vanished; it is put back')
    const written = await this.#blobs.put(NAME, encodeState(this.state), { absent: true })
    this.#etag = written?.etag
  }

  async #line(epoch: number): Promise<StoredLine | undefined> {
    const found = await this.#blobs.get(lineName(epoch))
    return found && found !== 'unchanged' ? parseLine(found.bytes) : undefined
  }

  async #record(state: RolloutState): Promise<void> {
    if (state.epoch <= this.#recorded) return
    await this.#blobs.put(lineName(state.epoch), encodeLine(state), { absent: true })
    this.#recorded = state.epoch
  }
}

function lineName(epoch: number): string {
  return `history/${String(epoch).padStart(9, '0')}.json`
}
