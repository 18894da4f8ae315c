import { ParleyError } from '#errors.ts'
import type { Log } from '#log.ts'
import type { BlobStore } from '#platform/blob/blob.ts'
import { hashOf, type Load } from '../load.ts'
import { MAX_CONFIG_BYTES } from '../source.ts'
import { type ConfigFormat, formatOf, isVersionName } from '../version-names.ts'
import type { Catalogue } from './catalogue.ts'
import type { KeptVersions } from './disk.ts'
import { inParallel } from './in-parallel.ts'

const atOnce = 8

/** Makes known what is on this replica's disk, as far as it is valid here. */
export async function restore(options: { kept: KeptVersions; catalogue: Catalogue; load: Load; log: Log }) {
  const { kept, catalogue, load, log } = options
  await inParallel(atOnce, await kept.names(), async (name) => {
    const found = await kept.read(name)
    if (!found) return
    const { record, file, bytes } = found
    const loaded = await load(name, bytes, formatOf(file))
    if ('faults' in loaded) {
      log.warn({ version: name, faults: loaded.faults.length }, 'A kept config version is not valid here')
      return
    }
    const known = { version: loaded.version, record, approval: undefined, file, size: bytes.length }
    catalogue.set(name, { ...known, isSeen: false, isEntered: false })
  })
}

/** Its bytes, from disk or from its blob. Rejects with config_not_found, blob_unavailable. */
export async function sourceOf(
  name: string,
  { kept, catalogue, versions }: { kept: KeptVersions; catalogue: Catalogue; versions: BlobStore },
): Promise<{ bytes: Buffer; format: ConfigFormat }> {
  const known = catalogue.get(name)
  const hash = known?.version.hash
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
