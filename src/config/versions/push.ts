import { ParleyError } from '#errors.ts'
import type { BlobStore } from '#platform/blob/blob.ts'
import type { Clock } from '#platform/clock.ts'
import type { ConfigVersion } from '../document.ts'
import { describeFault } from '../fault.ts'
import { hashOf, type Load } from '../load.ts'
import type { VersionRecord } from '../register.ts'
import { MAX_CONFIG_BYTES } from '../source.ts'
import { type ConfigFormat, filesOf, isVersionName } from '../version-names.ts'
import { oddName, type VersionAdmission } from './admission.ts'
import type { Catalogue } from './catalogue.ts'
import { knownOf } from './kept-copies.ts'
import type { VersionLooks } from './looks.ts'
import type { RegisterBlobs } from './register-blobs.ts'

export interface PushOptions {
  versions: BlobStore
  register: RegisterBlobs
  catalogue: Catalogue
  admission: VersionAdmission
  looks: VersionLooks
  load: Load
  clock: Clock
}

export interface Pushed {
  by: { id: string; name: string } | null
  name: string
  bytes: Buffer
  format: ConfigFormat
}

/** Before anything is kept. Rejects with invalid_request, body_too_large, config_invalid or config_exists. */
export async function validatePush({ catalogue, load }: PushOptions, pushed: Pushed): Promise<ConfigVersion> {
  const { name, bytes, format } = pushed
  checkPushed(name, bytes)
  const known = catalogue.get(name)
  if (known && known.hash !== hashOf(bytes)) throw new ParleyError('config_exists')
  const version = catalogue.version(name)
  if (version) return version
  const loaded = await load(name, bytes, format)
  if ('version' in loaded) return loaded.version
  const { faults } = loaded
  const message = faults.map((fault) => describeFault(fileOf(pushed), fault)).join('\n')
  throw new ParleyError('config_invalid', { message, faults })
}

export function checkPushed(name: string, bytes: Uint8Array): void {
  if (!isVersionName(name))
    throw new ParleyError('invalid_request', { param: 'version', message: `A config version ${oddName}.` })
  if (bytes.length <= MAX_CONFIG_BYTES) return
  throw new ParleyError('body_too_large', { message: `A config version has at most ${MAX_CONFIG_BYTES} bytes.` })
}

/**
 * Enters it in the register, then puts its blob there: so nobody who finds the blob is taken for the one who pushed it. Who fails
 * in between pushes the same again. True when the blob is new. Rejects with config_exists, blob_unavailable.
 */
export async function keepPushed(options: PushOptions, pushed: Pushed, version: ConfigVersion): Promise<boolean> {
  const { versions, register, catalogue, admission, looks, clock } = options
  const { by, name, bytes } = pushed
  const { hash } = version
  const known = catalogue.get(name)
  if (known && known.hash !== hash) throw new ParleyError('config_exists')
  const there = await filesThere(versions, name)
  if (there.some((blob) => blob.hash !== hash)) throw new ParleyError('config_exists')
  const record = await enter(register, { version: name, hash, firstSeenAt: clock.now(), uploadedBy: by })
  const [first] = there
  const file = first?.file ?? fileOf(pushed)
  const created = first ? undefined : await versions.put(file, bytes, { absent: true })
  if (created) looks.wrote(file, created.etag)
  else await checkBlob(versions, file, hash)
  const found = { record, file, size: bytes.length, isSeen: true, isEntered: true }
  await admission.accept({ ...knownOf(version, found), ...known, isSeen: true, isEntered: true }, version, bytes)
  catalogue.refuse(name, [], clock.now())
  return created !== undefined && known === undefined
}

/** The register has the last word on the name. */
async function enter(register: RegisterBlobs, record: VersionRecord): Promise<VersionRecord> {
  const standing = (await register.find(record.version)) ?? (await register.enter(record))
  if (standing.hash !== record.hash) throw new ParleyError('config_exists')
  return standing
}

async function filesThere(versions: BlobStore, name: string): Promise<{ file: string; hash: string }[]> {
  const found = await Promise.all(
    filesOf(name).map(async (file) => ({ file, blob: await versions.get(file, { maxBytes: MAX_CONFIG_BYTES + 1 }) })),
  )
  return found.flatMap(({ file, blob }) =>
    blob === undefined || blob === 'unchanged' ? [] : [{ file, hash: hashOf(blob.bytes) }],
  )
}

/** Somebody else's, put there meanwhile. */
async function checkBlob(versions: BlobStore, file: string, hash: string): Promise<void> {
  const blob = await versions.get(file, { maxBytes: MAX_CONFIG_BYTES + 1 })
  const isSame = blob !== undefined && blob !== 'unchanged' && hashOf(blob.bytes) === hash
  if (!isSame) throw new ParleyError('config_exists')
}

function fileOf({ name, format }: Pushed): string {
  return `${name}.${format}`
}
