import { randomBytes } from 'node:crypto'
import { link, open, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { MasterKeysEnv } from '#env.ts'
import { ParleyError } from '#errors.ts'
import { createSeal, type Seal } from './vault.ts'

/** Keys that wrap data keys, as they are now; whoever has them and the store can read everything. */
export interface MasterKeys {
  /** Wraps what is new. */
  readonly current: MasterKey
  /** Also those that only unwrap what they wrapped once. */
  find(id: string): MasterKey | undefined
}

export interface MasterKey {
  id: string
  seal: Seal
}

export interface MasterKeysOptions {
  masterKeys: MasterKeysEnv
  /** Something is wrapped with a master key that is not known here; another replica may have it already. */
  onUnknownMaster?: (() => void) | undefined
}

/** Throws environment_invalid when the file is open to others or holds something else. */
export async function openMasterKeys({ masterKeys: env, onUnknownMaster }: MasterKeysOptions): Promise<MasterKeys> {
  const file = env.source === 'file' ? [await readOrCreate(env.path)] : []
  const present = () => (env.source === 'file' ? file : env.keys)
  let [given, ring] = [present(), ringOf(present())]
  const now = () => {
    if (given !== present()) [given, ring] = [present(), ringOf(present(), ring.keys)]
    return ring
  }
  return {
    get current() {
      return now().current
    },
    find(id) {
      const found = now().keys.get(id)
      if (!found) onUnknownMaster?.()
      return found
    },
  }
}

interface Ring {
  current: MasterKey
  keys: ReadonlyMap<string, MasterKey>
}

/** `earlier` ones go on unwrapping until the process ends: what they wrapped may not be under the present one yet. */
function ringOf(given: readonly RawKey[], earlier?: Ring['keys']): Ring {
  const keys = new Map(given.map(({ id, key }) => [id, { id, seal: createSeal(key) }]))
  const [current] = keys.values()
  if (!current) throw new ParleyError('environment_invalid', { message: 'There is no master key' })
  return { current, keys: new Map([...(earlier ?? []), ...keys]) }
}

interface RawKey {
  id: string
  key: Buffer
}

async function readOrCreate(path: string): Promise<RawKey> {
  try {
    return await read(path)
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error
  }
  await create(path)
  return read(path)
}

/** One line as in `PARLEY_MASTER_KEYS`, so that it can be carried over to where replicas share their keys. */
async function read(path: string): Promise<RawKey> {
  await using file = await open(path, 'r')
  const { mode } = await file.stat()
  if ((mode & 0o077) !== 0) {
    throw new ParleyError('environment_invalid', { message: `${path} is open to others: it has to have mode 0600` })
  }
  const [id, encoded] = (await file.readFile('utf8')).trim().split(':')
  const key = Buffer.from(encoded ?? '', 'base64')
  if (!id || key.length !== 32) {
    throw new ParleyError('environment_invalid', { message: `${path} does not hold a master key` })
  }
  return { id, key }
}

/** The file appears whole or not at all, and never in place of another: what that one wrapped would be lost. */
async function create(path: string): Promise<void> {
  const draft = `${path}.${randomBytes(4).toString('hex')}`
  const line = `file-${randomBytes(4).toString('hex')}:${randomBytes(32).toString('base64')}\n`
  await using cleanup = new AsyncDisposableStack()
  const file = await open(draft, 'wx', 0o600)
  cleanup.defer(() => unlink(draft))
  cleanup.use(file)
  await file.writeFile(line)
  await file.sync()
  try {
    await link(draft, path)
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error
  }
  await using folder = await open(dirname(path), 'r')
  await folder.sync()
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
