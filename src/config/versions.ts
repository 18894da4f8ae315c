import { LRUCache } from 'lru-cache'
import { ParleyError } from '#errors.ts'
import type { Log } from '#log.ts'
import type { BlobStore } from '#platform/blob/blob.ts'
import { type Clock, delay } from '#platform/clock.ts'
import type { ConfigVersion } from './document.ts'
import { describeFault } from './fault.ts'
import type { Load, Loaded } from './load.ts'
import type { RefusedVersion, VersionEntry } from './version-entry.ts'
import type { ConfigFormat } from './version-names.ts'
import { VersionAdmission } from './versions/admission.ts'
import { Catalogue } from './versions/catalogue.ts'
import { KeptVersions } from './versions/disk.ts'
import { restore, sourceOf } from './versions/kept-copies.ts'
import { VersionLooks } from './versions/looks.ts'
import { checkPushed, keepPushed, validatePush } from './versions/push.ts'
import { RegisterBlobs } from './versions/register-blobs.ts'
import { pollMs, VersionWatch } from './versions/watch.ts'

interface Person {
  id: string
  name: string
}

/** The public face of versions: all that is known of them on this replica. What is served is decided by rollouts. */
export interface ConfigVersions {
  /**
   * A sound version by name, from memory or from this replica's disk. The 200 newest are there, and up to 200 older ones that were
   * asked for last; another one that is asked for is there from the next look on. The same object for as long as anybody holds it.
   */
  get(name: string): ConfigVersion | undefined
  /**
   * The same, once it has been looked for: a replica that has just begun may not have come to it. Rejects with blob_unavailable
   * where it cannot be told whether it is gone.
   */
  find(name: string): Promise<ConfigVersion | undefined>
  /** The newest sound version by the natural order of names. */
  newest(): ConfigVersion
  /** All that is known, sound or refused, newest first. */
  list(): VersionEntry[]
  /** The bytes of a known version as they were pushed, and their format. Rejects with config_not_found. */
  source(name: string): Promise<{ bytes: Buffer; format: ConfigFormat }>
  /**
   * Validates and keeps it; create-only. Rejects with config_invalid (every fault in the message, and on `.faults`), config_exists,
   * invalid_request (name), body_too_large, blob_unavailable. The same bytes again: `created: false`.
   */
  push(
    by: Person | null,
    name: string,
    bytes: Uint8Array,
    format: ConfigFormat,
  ): Promise<{ entry: VersionEntry; created: boolean }>
  /** Validates only. Rejects with invalid_request (name), body_too_large. */
  check(name: string, bytes: Uint8Array, format: ConfigFormat): Promise<Loaded>
  /** A second operator's word; rejects with config_not_found, forbidden when it is the one who pushed it, blob_unavailable. */
  approve(by: Person, name: string): Promise<VersionEntry>
  faults(): RefusedVersion[]
  /** Hears of each newly known sound version; the result ends it. */
  onChange(listener: (version: ConfigVersion) => void): () => void
  /** Looks now (webhook, push). Never rejects. */
  refresh(): Promise<void>
  close(): Promise<void>
}

const maxSought = 1000

export interface ConfigVersionsOptions {
  blobs: { versions: BlobStore; rollout: BlobStore }
  /** The folder or the container of versions, as people know it. */
  place: string
  /** Of this replica, for versions that are known. */
  cacheDir: string
  /** What `load` checks by, as a short text: what is on disk is checked anew where that has changed. */
  checkedBy: string
  load: Load
  clock: Clock
  log: Log
  /** Ends the wait for a store that is away at the start. */
  signal?: AbortSignal | undefined
}

/**
 * With the store away, what is on this replica's disk is known. With nothing there, a container is waited for until `signal`
 * aborts, and a folder rejects. Rejects with config_invalid, naming every fault, when no version is sound; with
 * config_unavailable when there is none at all.
 */
export async function openConfigVersions(options: ConfigVersionsOptions): Promise<ConfigVersions> {
  const { blobs, place, load, clock, log } = options
  const { versions } = blobs
  const listeners = new Set<(version: ConfigVersion) => void>()
  const register = new RegisterBlobs(blobs.rollout)
  const kept = new KeptVersions({ dir: options.cacheDir, checkedBy: options.checkedBy, log })
  const catalogue = new Catalogue(log, ({ name, hash }) => kept.version(name, hash))
  const admission = new VersionAdmission({ versions, register, catalogue, kept, load, clock }, tell)
  const looks = new VersionLooks({
    ...{ versions, register, catalogue, kept, admission, load, clock, log },
    onRestored: tell,
  })
  const watch = new VersionWatch({ looks, clock, log })
  const pushing = { versions, register, catalogue, admission, looks, load, clock }
  /** For names that are not known: what is gone is not looked for by each who asks. */
  const looked = new LRUCache<string, { at: number; done: Promise<unknown> }>({ max: maxSought })

  function tell(version: ConfigVersion): void {
    log.info({ version: version.name, hash: version.hash }, 'Config version found')
    for (const listener of listeners) {
      try {
        listener(version)
      } catch (error) {
        log.error({ err: error, version: version.name }, 'Config listener failed')
      }
    }
  }

  async function firstLook(): Promise<void> {
    for (;;) {
      const fault = await watch.look(true)
      if (catalogue.newest()) return
      if (fault === undefined) throw nothingSound(catalogue, place)
      if (versions.engine === 'folder') throw unavailable(`The config versions in ${place} cannot be read.`, fault)
      await delay(clock, pollMs, options.signal)
    }
  }

  function newest(): ConfigVersion {
    for (let known = catalogue.newest(); known; known = catalogue.newest()) {
      const version = catalogue.version(known.name)
      if (version) return version
    }
    throw unavailable('There is no config version to serve from.')
  }

  function entryOf(name: string): VersionEntry {
    const entry = catalogue.entry(name)
    if (!entry) throw new ParleyError('config_not_found', { param: 'version' })
    return entry
  }

  await restore({ kept, catalogue, load, log })
  await firstLook()
  watch.begin()

  function get(name: string): ConfigVersion | undefined {
    looks.ask(name)
    return catalogue.version(name)
  }

  return {
    get,
    async find(name) {
      const known = get(name)
      if (known) return known
      const before = looked.get(name)
      const isRecent = before && clock.monotonic() - before.at < pollMs
      const look = isRecent ? before : { at: clock.monotonic(), done: watch.refresh() }
      looked.set(name, look)
      const fault = await look.done
      const found = catalogue.version(name)
      if (found || (fault === undefined && !looks.isUndecided(name))) return found
      throw new ParleyError('blob_unavailable', { cause: fault })
    },
    newest,
    list: () => catalogue.entries(),
    source: (name) => sourceOf(name, { kept, catalogue, versions }),

    async push(by, name, given, format) {
      const pushed = { by, name, bytes: Buffer.from(given), format }
      const version = await validatePush(pushing, pushed)
      const created = await watch.inTurn(() => keepPushed(pushing, pushed, version))
      return { entry: entryOf(name), created }
    },

    async check(name, bytes, format) {
      checkPushed(name, bytes)
      return load(name, bytes, format)
    },

    async approve(by, name) {
      const known = catalogue.get(name)
      if (!known) throw new ParleyError('config_not_found', { param: 'version' })
      if (known.record.uploadedBy?.id === by.id) {
        throw new ParleyError('forbidden', { message: 'Whoever pushed a version cannot be its second operator.' })
      }
      const { hash } = known
      known.approval ??= await register.approve({ version: name, hash, by, at: clock.now() })
      return entryOf(name)
    },

    faults: () => catalogue.refused(),
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    refresh: async () => {
      await watch.refresh()
    },
    close: () => watch.close(),
  }
}

function nothingSound(catalogue: Catalogue, place: string): ParleyError {
  const refused = catalogue.refused()
  if (refused.length === 0) return unavailable(`There is no config version in ${place} (*.yaml, *.json).`)
  const lines = refused.flatMap(({ file, faults }) => faults.map((fault) => describeFault(`${place}/${file}`, fault)))
  return new ParleyError('config_invalid', { message: `No config version is valid.\n${lines.join('\n')}` })
}

function unavailable(message: string, cause?: unknown): ParleyError {
  return new ParleyError('config_unavailable', { message, cause })
}
