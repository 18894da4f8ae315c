import { extname } from 'node:path'
import type { Log } from '#log.ts'
import {
  type ConfigFile,
  compareVersions,
  filesOf,
  findConfigFile,
  findConfigFileNow,
  isVersionName,
  listConfigFiles,
  readConfigFile,
  versionOf,
} from './config-file.ts'
import type { ConfigVersion } from './document.ts'
import type { LocatedFault } from './fault.ts'
import { type Check, hashOf, loadVersion } from './load.ts'

/** A file that is not served, and why. */
export interface RefusedVersion {
  version: string
  file: string
  faults: readonly LocatedFault[]
}

/** Of what may be sound the next time although the file is the same. */
const NO_STAMP = ''

interface Held {
  version: ConfigVersion
  file: string
  stamp: string
}

/**
 * The versions in a folder. A version is read once, when it is first asked for, and then held for good: whatever happens
 * to its file later is a fault of the file.
 */
export class ConfigFolder {
  readonly #dir: string
  readonly #checks: readonly Check[]
  readonly #log: Log
  readonly #held = new Map<string, Held>()
  /** By file. `reason` tells whether a fault is news. */
  readonly #refused = new Map<string, RefusedVersion & { stamp: string; reason: string }>()
  #seen: ReadonlyMap<string, string> = new Map()

  constructor(dir: string, checks: readonly Check[], log: Log) {
    this.#dir = dir
    this.#checks = checks
    this.#log = log
  }

  refused(): RefusedVersion[] {
    return [...this.#refused.values()].map(({ version, file, faults }) => ({ version, file, faults }))
  }

  get(name: string): ConfigVersion | undefined {
    const held = this.#held.get(name)
    if (held || !isVersionName(name)) return held?.version
    const files = filesOf(name).map((file) => findConfigFileNow(this.#dir, file))
    return this.#take(
      name,
      files.filter((file) => file !== undefined),
    )
  }

  /**
   * Looks at what is there now, and answers with the newest sound version above the given one. With `settledOnly`, a file
   * that was not there like this the last time is left for the next: somebody may still be writing it.
   */
  async newest(above: ConfigVersion | undefined, settledOnly: boolean): Promise<ConfigVersion | undefined> {
    const names = await listConfigFiles(this.#dir)
    const isNewer = (version: string) => !above || compareVersions(version, above.name) > 0
    const isKnown = (version: string, file: string) => this.#held.has(version) || this.#refused.has(file)
    const watched = names.filter((file) => isNewer(versionOf(file)) || isKnown(versionOf(file), file))
    const found = await Promise.all(watched.map((file) => findConfigFile(this.#dir, file)))
    const files = found.filter((file) => file !== undefined)
    const unsettled = new Set(files.filter(({ file, stamp }) => settledOnly && this.#seen.get(file) !== stamp))
    this.#seen = new Map(files.map(({ file, stamp }) => [file, stamp]))
    this.#forgetWithout(new Set(names))

    let newest: ConfigVersion | undefined
    const versions = Map.groupBy(files, ({ file }) => versionOf(file))
    for (const held of this.#held.keys()) if (!versions.has(held)) versions.set(held, [])
    for (const [version, group] of [...versions].sort(([a], [b]) => compareVersions(b, a))) {
      const isWanted = isNewer(version) && !newest
      if (group.some((file) => unsettled.has(file)) || !(isWanted || this.#held.has(version))) continue
      const taken = this.#take(version, group)
      if (isWanted) newest = taken
    }
    return newest
  }

  #take(name: string, files: readonly ConfigFile[]): ConfigVersion | undefined {
    const held = this.#held.get(name)
    if (held) {
      this.#compare(held, files)
      return held.version
    }
    if (files.length > 1) {
      for (const { file } of files) {
        const others = files.filter((other) => other.file !== file).map((other) => other.file)
        this.#refuse(file, NO_STAMP, 'clash', `names the same version as ${others.join(', ')}`)
      }
      return undefined
    }
    const [only] = files
    return only && this.#refused.get(only.file)?.stamp !== only.stamp ? this.#load(name, only) : undefined
  }

  #load(name: string, { file, stamp, isFile }: ConfigFile): ConfigVersion | undefined {
    if (!isVersionName(name)) {
      this.#refuse(file, stamp, 'name', 'needs a name of 1 to 64 letters, digits, dots, dashes or underscores')
      return undefined
    }
    const bytes = this.#read(file, stamp, isFile)
    if (!bytes) return undefined
    const loaded = loadVersion(name, bytes, extname(file) === '.json' ? 'json' : 'yaml', this.#checks)
    if ('faults' in loaded) {
      this.#refuse(file, stamp, hashOf(bytes), loaded.faults)
      return undefined
    }
    this.#refused.delete(file)
    this.#held.set(name, { version: loaded.version, file, stamp })
    return loaded.version
  }

  #compare(held: Held, files: readonly ConfigFile[]): void {
    const { version, file } = held
    for (const other of files) {
      if (other.file === file || this.#refused.get(other.file)?.stamp === other.stamp) continue
      const message = `is refused: versions are immutable, and ${version.name} was read from ${file}`
      this.#refuse(other.file, other.stamp, 'other', message)
    }
    const own = files.find((each) => each.file === file)
    if (!own) {
      this.#refuse(file, NO_STAMP, 'gone', 'is gone; its version goes on being served until the process ends')
      return
    }
    if (own.stamp === (this.#refused.get(file) ?? held).stamp) return
    const bytes = this.#read(file, own.stamp, own.isFile)
    if (!bytes) return
    const hash = hashOf(bytes)
    if (hash === version.hash) {
      this.#refused.delete(file)
      held.stamp = own.stamp
    } else {
      this.#refuse(file, own.stamp, hash, 'was changed: versions are immutable, give the new one a new name')
    }
  }

  #read(file: string, stamp: string, isFile: boolean): Buffer | undefined {
    if (!isFile) {
      this.#refuse(file, stamp, 'kind', 'is not a file')
      return undefined
    }
    try {
      return readConfigFile(this.#dir, file)
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
      this.#refuse(file, NO_STAMP, code, `cannot be read (${code})`)
      return undefined
    }
  }

  #refuse(file: string, stamp: string, reason: string, why: string | readonly LocatedFault[]): void {
    const faults = typeof why === 'string' ? [{ path: '', line: 1, column: 1, message: why }] : why
    const isNews = this.#refused.get(file)?.reason !== reason
    this.#refused.set(file, { version: versionOf(file), file, faults, stamp, reason })
    if (!isNews) return
    for (const fault of faults) this.#log.error({ file, ...fault }, 'Config version refused')
  }

  #forgetWithout(names: ReadonlySet<string>): void {
    for (const { file, version } of this.#refused.values()) {
      if (!names.has(file) && this.#held.get(version)?.file !== file) this.#refused.delete(file)
    }
  }
}
