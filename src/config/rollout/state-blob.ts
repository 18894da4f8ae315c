import { ParleyError } from '#errors.ts'
import type { Log } from '#log.ts'
import type { BlobStore } from '#platform/blob/blob.ts'
import type { Kv } from '#platform/kv/kv.ts'
import type { RolloutState, Transition } from './state.ts'
import { lastStateKey } from './store/keys.ts'
import { keepNewest } from './store/records.ts'

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
  /** The history is known to have every line up to this epoch. */
  #recorded = 0

  constructor({ blobs, kv, log }: { blobs: BlobStore; kv: Kv; log: Log }) {
    this.#blobs = blobs
    this.#kv = kv
    this.#log = log
  }

  /** True when there is another than before. Rejects with blob_unavailable; what was known stays. */
  async read(): Promise<boolean> {
    const found = await this.#blobs.get(NAME, this.#etag === undefined ? {} : { ifNot: this.#etag })
    if (found === 'unchanged') return false
    if (found === undefined) {
      await this.#putBack()
      return false
    }
    const state = parse(found.bytes)
    if (!state) {
      this.#log.error({ etag: found.etag }, 'The state of the rollout cannot be read; the last one stays')
      throw new ParleyError('blob_unavailable', { message: 'The state of the rollout cannot be read.' })
    }
    const isNews = state.epoch !== this.state?.epoch
    this.state = state
    this.#etag = found.etag
    if (isNews) this.keep()
    return isNews
  }

  /**
   * The state that follows the one that is known, with its line in the history. False when somebody was quicker. Rejects with
   * blob_unavailable.
   */
  async write(next: RolloutState): Promise<boolean> {
    if (this.state) await this.#record(this.state.last)
    const condition = this.#etag === undefined ? ({ absent: true } as const) : { ifMatch: this.#etag }
    const written = await this.#blobs.put(NAME, encode(next), condition)
    if (!written) return false
    this.state = next
    this.#etag = written.etag
    const { epoch, rollout, candidate, from, to, by } = next.last
    this.#log.info({ epoch, rollout, candidate, from, to, by }, 'The rollout moved')
    this.keep()
    await this.#record(next.last).catch((error: unknown) =>
      this.#log.warn({ err: error, epoch }, 'A line of the history could not be written; the next writer adds it'),
    )
    return true
  }

  /** Adds the present line to the history where it is missing. */
  async complete(): Promise<void> {
    if (this.state) await this.#record(this.state.last)
  }

  /** Newest first. Rejects with blob_unavailable. */
  async history(limit: number): Promise<Transition[]> {
    const { epoch = 0, last } = this.state ?? {}
    const epochs = Array.from({ length: Math.min(limit, epoch) }, (_, back) => epoch - back)
    const lines = await Promise.all(
      epochs.map(async (at) => {
        if (at === last?.epoch) return last
        const found = await this.#blobs.get(lineName(at))
        return found && found !== 'unchanged' ? (JSON.parse(found.bytes.toString()) as Transition) : undefined
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
    return found && parse(found.value)
  }

  /**
   * Where the state is gone and the history is not: puts the copy back, if it is what the history ends with. Of another container's
   * journey it means nothing. What was put there, by whomever, is the state then.
   */
  async restore(lastEpoch: number): Promise<void> {
    const kept = await this.kept().catch(() => undefined)
    if (!kept || kept.epoch !== lastEpoch) return
    const line = await this.#blobs.get(lineName(lastEpoch))
    if (!line || line === 'unchanged' || !line.bytes.equals(encode(kept.last))) return
    this.#log.error({ epoch: kept.epoch }, 'The state of the rollout has vanished; it is put back')
    await this.#blobs.put(NAME, encode(kept), { absent: true })
    await this.read()
  }

  /** Of another rollout container's journey the copy means nothing. */
  async forgetKept(): Promise<void> {
    await this.#kv.delete(lastStateKey)
  }

  /** Best effort: the blob is the truth. */
  keep(): void {
    const { state } = this
    if (state) this.#kv.run(keepNewest, [lastStateKey], [state.epoch, encode(state)]).catch(() => {})
  }

  /** What somebody took away is put back as it was. */
  async #putBack(): Promise<void> {
    if (!this.state) return
    this.#log.error({ epoch: this.state.epoch }, 'The state of the rollout has vanished; it is put back')
    const written = await this.#blobs.put(NAME, encode(this.state), { absent: true })
    this.#etag = written?.etag
  }

  async #record(line: Transition): Promise<void> {
    if (line.epoch <= this.#recorded) return
    await this.#blobs.put(lineName(line.epoch), encode(line), { absent: true })
    this.#recorded = line.epoch
  }
}

function lineName(epoch: number): string {
  return `history/${String(epoch).padStart(9, '0')}.json`
}

function encode(value: RolloutState | Transition): Buffer {
  return Buffer.from(JSON.stringify(value, null, 2))
}

function parse(bytes: Buffer): RolloutState | undefined {
  try {
    const state = JSON.parse(bytes.toString()) as Partial<RolloutState>
    const isWhole = Number.isSafeInteger(state.epoch) && state.stable && state.last && Array.isArray(state.finished)
    return isWhole ? (state as RolloutState) : undefined
  } catch {
    return undefined
  }
}
