import { type BigIntStats, closeSync, openSync, readSync, statSync } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { MAX_CONFIG_BYTES } from './source.ts'

const EXTENSIONS = ['.yaml', '.yml', '.json']
const VERSION_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
const natural = new Intl.Collator('en', { numeric: true })

/** A file as it was found; a new stamp means that it may have changed. */
export interface ConfigFile {
  file: string
  stamp: string
  isFile: boolean
}

/** Names of files that are meant as versions, whatever is in them; what begins with a dot is not. */
export async function listConfigFiles(dir: string): Promise<string[]> {
  const names = await readdir(dir)
  return names.filter((name) => EXTENSIONS.includes(extname(name)) && !name.startsWith('.'))
}

export function versionOf(file: string): string {
  return file.slice(0, -extname(file).length)
}

export function filesOf(version: string): string[] {
  return EXTENSIONS.map((extension) => `${version}${extension}`)
}

export function isVersionName(name: string): boolean {
  return VERSION_NAME.test(name)
}

/** Natural order: v9 before v10. */
export function compareVersions(a: string, b: string): number {
  return natural.compare(a, b) || (a < b ? -1 : Number(a > b))
}

/** Undefined when it is not there, or out of reach. */
export async function findConfigFile(dir: string, file: string): Promise<ConfigFile | undefined> {
  const stats = await stat(join(dir, file), { bigint: true }).catch(() => undefined)
  return stats && describe(file, stats)
}

/** The same, at once, for who cannot wait. */
export function findConfigFileNow(dir: string, file: string): ConfigFile | undefined {
  try {
    return describe(file, statSync(join(dir, file), { bigint: true }))
  } catch {
    return undefined
  }
}

function describe(file: string, stats: BigIntStats): ConfigFile {
  const { ino, size, mtimeNs, ctimeNs } = stats
  return { file, stamp: [ino, size, mtimeNs, ctimeNs].join(':'), isFile: stats.isFile() }
}

/** At most one byte more than a version may have. */
export function readConfigFile(dir: string, file: string): Buffer {
  const descriptor = openSync(join(dir, file), 'r')
  try {
    const buffer = Buffer.allocUnsafe(MAX_CONFIG_BYTES + 1)
    let length = 0
    while (length < buffer.length) {
      const count = readSync(descriptor, buffer, length, buffer.length - length, null)
      if (count === 0) break
      length += count
    }
    return buffer.subarray(0, length)
  } finally {
    closeSync(descriptor)
  }
}
