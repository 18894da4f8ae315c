import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { loadVersion } from '#config/load.ts'
import { type ConfigVersions, openConfigVersions } from '#config/versions.ts'
import { ParleyError } from '#errors.ts'
import type { BlobStore } from '#platform/blob/blob.ts'
import { capturedLog } from '../../support/captured-log.ts'
import { manualClock } from '../../support/clock.ts'

/** New and empty containers. */
export interface Containers extends AsyncDisposable {
  /** A new handle, as another replica would have. */
  open(container: 'versions' | 'rollout'): BlobStore
}

export const alice = { id: 'alice', name: 'Alice' }
export const bob = { id: 'bob', name: 'Bob' }

/** A sound version that says so. */
export function saying(description: string): Buffer {
  const model = { provider: 'offline', contextWindow: 1000, continuation: 'restart', price: { input: 0, output: 0 } }
  const apollo = { title: 'A', instructions: 'I', route: 'default' }
  const routes = { default: { models: ['m'] } }
  return Buffer.from(JSON.stringify({ description, models: { m: model }, routes, specialists: { apollo } }))
}

export interface Replica extends AsyncDisposable {
  versions: ConfigVersions
  lines: Record<string, unknown>[]
  clock: ReturnType<typeof manualClock>
  /** Enough looks to know what is there. */
  looks(): Promise<void>
  faults(): string[]
}

/** Replicas over the same containers, each with a disk of its own, whose way to the stores can be cut. */
export async function grounds(containers: Containers) {
  const root = await mkdtemp(path.join(tmpdir(), 'parley-versions-'))
  const cut = new Set<string>()
  /** By another name, replicas that start check anew what they have on disk. */
  const checks = { name: 'checks' }
  const shared = { versions: containers.open('versions'), rollout: containers.open('rollout') }

  function opening(disk = 'disk', signal?: AbortSignal) {
    const clock = manualClock()
    const { log, lines } = capturedLog()
    const reached = (name: 'versions' | 'rollout') =>
      cuttable(containers.open(name), (method) => [name, `${name}.${method}`].some((each) => cut.has(each)))
    const blobs = { versions: reached('versions'), rollout: reached('rollout') }
    const cacheDir = path.join(root, disk)
    const opened = openConfigVersions({
      ...{ blobs, cacheDir, clock, log, signal },
      ...{ place: 'versions', checkedBy: checks.name },
      load: async (name, bytes, format) => loadVersion(name, bytes, format, []),
    })
    return { opened, clock, lines, blobs }
  }

  async function replica(disk?: string): Promise<Replica> {
    const { opened, clock, lines, blobs } = opening(disk)
    const versions = await opened
    return {
      ...{ versions, clock, lines },
      faults: () => versions.faults().map(({ file, faults }) => `${file} ${faults.map(({ message }) => message)}`),
      async looks() {
        await versions.refresh()
        clock.advance(2000)
        await versions.refresh()
      },
      async [Symbol.asyncDispose]() {
        await versions.close()
        await Promise.all([blobs.versions.close(), blobs.rollout.close()])
      },
    }
  }

  return {
    ...{ ...shared, root, cut, checks, opening, replica },
    async [Symbol.asyncDispose]() {
      await Promise.all([shared.versions.close(), shared.rollout.close()])
      await rm(root, { recursive: true })
      await containers[Symbol.asyncDispose]()
    },
  }
}

function cuttable(store: BlobStore, isCut: (method: string) => boolean): BlobStore {
  const check = (method: string) => {
    if (isCut(method)) throw new ParleyError('blob_unavailable')
  }
  return {
    engine: store.engine,
    get reachable() {
      return store.reachable && !isCut('reached')
    },
    async get(...given) {
      check('get')
      return store.get(...given)
    },
    async put(...given) {
      check('put')
      return store.put(...given)
    },
    async delete(...given) {
      check('delete')
      return store.delete(...given)
    },
    async *list(prefix) {
      check('list')
      yield* store.list(prefix)
    },
    lease: (...given) => store.lease(...given),
    close: () => store.close(),
  }
}
