import type { BlobStore } from '#platform/blob/blob.ts'
import type { RolloutState, Transition } from './state.ts'
import { encodeLine, parseLine, type StoredLine } from './stored-state.ts'

/**
 * The lines of the history, a blob each: added once, never changed. A state is written before its line, so a line whose state is
 * not there is of a state that was taken away. Methods reject with blob_unavailable.
 */
export class History {
  readonly #blobs: BlobStore
  /** It is known to have every line up to this epoch. */
  #recorded = 0

  constructor(blobs: BlobStore) {
    this.#blobs = blobs
  }

  async line(epoch: number): Promise<StoredLine | undefined> {
    const found = await this.#blobs.get(nameOf(epoch))
    return found && found !== 'unchanged' ? parseLine(found.bytes) : undefined
  }

  /** Newest first, from `newest` on, whose line may not be there yet. */
  async lines(newest: Transition, limit: number): Promise<Transition[]> {
    const { epoch } = newest
    const epochs = Array.from({ length: Math.min(limit, epoch) }, (_, back) => epoch - back)
    const lines = await Promise.all(epochs.map(async (at) => (at === epoch ? newest : (await this.line(at))?.line)))
    return lines.filter((line) => line !== undefined)
  }

  /** 0 where there is no line. */
  async lastEpoch(): Promise<number> {
    let highest = 0
    for await (const { name } of this.#blobs.list('history/')) {
      highest = Math.max(highest, Number(/^history\/(\d+)\.json$/.exec(name)?.[1] ?? 0))
    }
    return highest
  }

  /**
   * Whether the state may come from it: the line of the one before is written before the state is. Where there are no lines nothing
   * speaks against it, and where they have gone on from it others look.
   */
  async leadsTo({ epoch }: RolloutState): Promise<boolean> {
    if ((await this.line(epoch - 1)) || (await this.line(epoch))) return true
    const last = await this.lastEpoch()
    return last === 0 || last >= epoch - 1
  }

  /** The state that it ends with, where its last line has it. */
  async ending(): Promise<RolloutState | undefined> {
    return (await this.line(await this.lastEpoch()))?.state
  }

  /** Adds the line of this state where it is missing. */
  async record(state: RolloutState): Promise<void> {
    if (state.epoch <= this.#recorded) return
    await this.#blobs.put(nameOf(state.epoch), encodeLine(state), { absent: true })
    this.#recorded = state.epoch
  }

  /** Somebody was at what is stored: what was there may not be. */
  doubt(): void {
    this.#recorded = 0
  }
}

function nameOf(epoch: number): string {
  return `history/${String(epoch).padStart(9, '0')}.json`
}
