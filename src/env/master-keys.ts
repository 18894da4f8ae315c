import path from 'node:path'
import type { Reader } from './reader.ts'

export type MasterKeysEnv = { source: 'environment'; keys: readonly MasterKeyEnv[] } | { source: 'file'; path: string }

export interface MasterKeyEnv {
  id: string
  key: Buffer
}

/** `id:base64,id:base64`, the current one first, each of 32 bytes. */
export function readMasterKeys(read: Reader, dataDir: string, faults: string[]): MasterKeysEnv {
  if (read.list('PARLEY_MASTER_KEYS').length === 0) return { source: 'file', path: path.join(dataDir, 'master.key') }
  let [given, keys]: [string | undefined, readonly MasterKeyEnv[]] = [undefined, []]
  const env = {
    source: 'environment' as const,
    /** The same array until they are rotated. */
    get keys() {
      const present = read.text('PARLEY_MASTER_KEYS')
      if (present !== given) [given, keys] = [present, read.list('PARLEY_MASTER_KEYS').map(keyOf)]
      return keys
    },
  }
  const ids = new Set(env.keys.map(({ id }) => id))
  if (ids.size < env.keys.length || env.keys.some(({ id, key }) => !/^[\w.-]{1,64}$/.test(id) || key.length !== 32)) {
    faults.push('PARLEY_MASTER_KEYS has to be id:key pairs by comma, ids different, keys 32 bytes in base64')
  }
  return env
}

function keyOf(item: string): MasterKeyEnv {
  const [id = '', encoded = ''] = item.split(':')
  return { id, key: Buffer.from(encoded, 'base64') }
}
