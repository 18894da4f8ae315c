import { randomBytes } from 'node:crypto'
import { link, open, readFile, rm, stat } from 'node:fs/promises'
import type { MasterKeysEnv } from '#env.ts'
import { ParleyError } from '#errors.ts'

/** Wraps data keys: the current one wraps, all of them unwrap. */
export interface MasterKeys {
  current: { id: string; key: Buffer }
  find(id: string): Buffer | undefined
}

export async function openMasterKeys(env: MasterKeysEnv): Promise<MasterKeys> {
  const keys = env.source === 'environment' ? env.keys : [{ id: 'file', key: await readOrCreate(env.path) }]
  const [current] = keys
  if (!current) throw new ParleyError('environment_invalid', { message: 'PARLEY_MASTER_KEYS names no key' })
  const known = new Map(keys.map(({ id, key }) => [id, key]))
  return { current, find: (id) => known.get(id) }
}

/** The embedded twin's key: made once, 32 bytes in base64, for its owner's eyes only. */
async function readOrCreate(path: string): Promise<Buffer> {
  await createOnce(path)
  if (((await stat(path)).mode & 0o077) !== 0) {
    throw new ParleyError('environment_invalid', { message: `${path} can be read by others: chmod 600 it` })
  }
  const key = Buffer.from(await readFile(path, 'utf8'), 'base64')
  if (key.length !== 32) throw new ParleyError('environment_invalid', { message: `${path} holds no key of 32 bytes` })
  return key
}

/** Written whole under another name first: a crash leaves either no key or a good one. */
async function createOnce(path: string): Promise<void> {
  const draft = `${path}.${process.pid}`
  try {
    await stat(path)
  } catch {
    const file = await open(draft, 'wx', 0o600)
    await file.writeFile(`${randomBytes(32).toString('base64')}\n`)
    await file.sync()
    await file.close()
    await link(draft, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
    await rm(draft)
  }
}
