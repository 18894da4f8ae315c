import { join } from 'node:path'
import { ParleyError } from '#errors.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { ConfigVersion } from './document.ts'
import { describeFault } from './fault.ts'
import { ConfigFolder, type RefusedVersion } from './folder.ts'
import type { Check } from './load.ts'

/** Two looks have to find a file alike before it is read, so a new one is served after at most twice this. */
const POLL_MS = 2000

/** The public face of `config/`: the versions of a folder, and which one is served. */
export interface ConfigVersions {
  /** The newest sound version, by the natural order of names. */
  current(): ConfigVersion
  /** Any sound version by its name, e.g. one that a conversation is pinned to; read from disk when first asked for. */
  get(name: string): ConfigVersion | undefined
  /** Files that were refused. */
  faults(): RefusedVersion[]
  /** Calls the listener with each new current version; the result ends it. */
  onChange(listener: (current: ConfigVersion) => void): () => void
  /** Looks at the folder now. Never rejects: a folder that cannot be read changes nothing. */
  refresh(): Promise<void>
  close(): Promise<void>
}

export interface ConfigVersionsOptions {
  dir: string
  clock: Clock
  log: Log
  /** What other modules have to say about their part of a document. */
  checks: readonly Check[]
}

/** Rejects with config_invalid, naming every fault, when the folder has no sound version; config_unavailable when it has none at all. */
export async function openConfigVersions({ dir, clock, log, checks }: ConfigVersionsOptions): Promise<ConfigVersions> {
  const folder = new ConfigFolder(dir, checks, log)
  const listeners = new Set<(current: ConfigVersion) => void>()
  let current = await firstVersion(dir, folder)
  let isFine = true
  let looking: Promise<void> = Promise.resolve()
  let stopPolling = () => {}
  let isClosed = false

  async function look(settledOnly: boolean): Promise<void> {
    try {
      const newer = await folder.newest(current, settledOnly)
      isFine = true
      if (newer && !isClosed) serve(newer)
    } catch (error) {
      if (isFine) log.error({ err: error }, 'Looking for config versions failed')
      isFine = false
    }
  }

  function serve(version: ConfigVersion): void {
    current = version
    log.info({ version: version.name, hash: version.hash }, 'Config version served')
    for (const listener of listeners) {
      try {
        listener(version)
      } catch (error) {
        log.error({ err: error, version: version.name }, 'Config listener failed')
      }
    }
  }

  function lookInTurn(settledOnly: boolean): Promise<void> {
    looking = looking.then(() => look(settledOnly))
    return looking
  }

  function poll(): void {
    if (isClosed) return
    stopPolling = clock.after(POLL_MS, () => void lookInTurn(true).then(poll))
  }

  log.info({ version: current.name, hash: current.hash }, 'Config version served')
  poll()
  return {
    current: () => current,
    get: (name) => folder.get(name),
    faults: () => folder.refused(),
    onChange: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    refresh: () => lookInTurn(false),
    close: () => {
      isClosed = true
      stopPolling()
      return looking
    },
  }
}

async function firstVersion(dir: string, folder: ConfigFolder): Promise<ConfigVersion> {
  const first = await folder.newest(undefined, false).catch((cause: unknown) => {
    throw new ParleyError('config_unavailable', { message: `The config folder ${dir} cannot be read.`, cause })
  })
  if (first) return first
  const refused = folder.refused()
  if (refused.length === 0) {
    throw new ParleyError('config_unavailable', { message: `There is no config version in ${dir} (*.yaml, *.json).` })
  }
  const faults = refused.flatMap(({ file, faults }) => faults.map((fault) => describeFault(join(dir, file), fault)))
  throw new ParleyError('config_invalid', { message: `No config version is valid.\n${faults.join('\n')}` })
}
