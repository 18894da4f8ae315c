import { ParleyError } from '#errors.ts'
import type { Log } from '#log.ts'
import type { BlobStore } from '#platform/blob/blob.ts'
import type { ConfigVersion } from '../document.ts'
import { hashOf, type Load } from '../load.ts'
import { MAX_CONFIG_BYTES } from '../source.ts'
import { type ConfigFormat, compareVersions, formatOf, isVersionName } from '../version-names.ts'
import type { Catalogue } from './catalogue.ts'
import type { KeptVersions } from './disk.ts'
import { inParallel } from './in-parallel.ts'
import type { KeptHead } from './kept-file.ts'
import type { Known } from './known.ts'

const atOnce = 16

export interface RestoreOptions {
  kept: KeptVersions
  catalogue: Catalogue
  load: Load
  log: Log
}

/**
 * Makes known what is on this replica's disk: all that was found sound here by what checks today, without reading their documents;
 * of the others the newest that is sound still. What else there is becomes known by its blob, or when it is asked for.
 */
export async function restore(options: RestoreOptions): Promise<void> {
  const { kept, catalogue } = options
  const names = (await kept.names()).sort((a, b) => compareVersions(b, a))
  const unchecked = new Set<string>()
  await inParallel(atOnce, names, async (name) => {
    const head = await kept.head(name)
    if (head) catalogue.set(knownBy(head))
    else unchecked.add(name)
  })
  for (const name of names.filter((one) => unchecked.has(one))) {
    if (await restoreOne(options, name)) return
  }
}

/** One that has to be checked anew: known from here on when it is sound. */
export async function restoreOne(
  { kept, catalogue, load, log }: RestoreOptions,
  name: string,
): Promise<ConfigVersion | undefined> {
  const found = await kept.read(name)
  if (!found) return undefined
  const { record, file, bytes } = found
  const loaded = await load(name, bytes, formatOf(file))
  if ('faults' in loaded) {
    log.warn({ version: name, faults: loaded.faults.length }, 'A kept config version is not valid here')
    return undefined
  }
  const isKept = await kept.keep(found, loaded.version, bytes)
  const known = { record, file, size: bytes.length, isSeen: false, isEntered: false }
  catalogue.setVersion(knownOf(loaded.version, known), loaded.version, isKept)
  return loaded.version
}

function knownBy({ record, file, size, description }: KeptHead): Known {
  const { version: name, hash } = record
  return { name, hash, description, record, approval: undefined, file, size, isSeen: false, isEntered: false }
}

export function knownOf(
  { name, hash, document }: ConfigVersion,
  found: Pick<Known, 'record' | 'file' | 'size' | 'isSeen' | 'isEntered'>,
): Known {
  return { name, hash, description: document.description, approval: undefined, ...found }
}

/** Its bytes, from disk or from its blob. Rejects with config_not_found, blob_unavailable. */
export async function sourceOf(
  name: string,
  { kept, catalogue, versions }: { kept: KeptVersions; catalogue: Catalogue; versions: BlobStore },
): Promise<{ bytes: Buffer; format: ConfigFormat }> {
  const known = catalogue.get(name)
  const hash = known?.hash
  const file = known?.file ?? catalogue.refusedFile(name)
  if (file !== undefined && isVersionName(name)) {
    const held = known && (await kept.read(name))
    if (held?.record.hash === hash && held) return { bytes: held.bytes, format: formatOf(file) }
    const blob = await versions.get(file, { maxBytes: MAX_CONFIG_BYTES })
    const isThere = blob !== undefined && blob !== 'unchanged'
    if (isThere && (hash === undefined || hashOf(blob.bytes) === hash)) {
      return { bytes: blob.bytes, format: formatOf(file) }
    }
  }
  throw new ParleyError('config_not_found', { param: 'version' })
}
