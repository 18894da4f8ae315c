import type { Blob, BlobInfo, BlobStore } from '#platform/blob/blob.ts'
import { type Clock, systemClock } from '#platform/clock.ts'

export interface BlobsUnderTest extends AsyncDisposable {
  store: BlobStore
  /** Another process's view of the same blobs. */
  other: BlobStore
  /** For the engine and for both stores. */
  passTime(ms: number): Promise<void>
}

/** The system's, with what was turned on. */
export function turnedClock(): Clock & { advance(ms: number): void } {
  let offsetMs = 0
  return {
    now: () => systemClock.now() + offsetMs,
    monotonic: () => systemClock.monotonic() + offsetMs,
    after: systemClock.after,
    advance: (ms) => {
      offsetMs += ms
    },
  }
}

export async function found(store: BlobStore, name: string): Promise<Blob> {
  const blob = await store.get(name)
  if (blob === undefined || blob === 'unchanged') throw new Error(`no ${name}`)
  return blob
}

export async function listed(store: BlobStore, prefix: string): Promise<BlobInfo[]> {
  const all = await Array.fromAsync(store.list(prefix))
  return all.sort((a, b) => (a.name < b.name ? -1 : 1))
}
