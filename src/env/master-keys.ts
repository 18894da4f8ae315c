import path from 'node:path'
import type { Reader } from './reader.ts'

export type MasterKeysEnv =
  | { source: 'environment'; keys: readonly { id: string; key: Buffer }[] }
  | { source: 'file'; path: string }

/** `id:base64,id:base64`, the current one first, each of 32 bytes. */
export function readMasterKeys(read: Reader, dataDir: string, faults: string[]): MasterKeysEnv {
  const given = read.list('PARLEY_MASTER_KEYS')
  if (given.length === 0) return { source: 'file', path: path.join(dataDir, 'master.key') }
  const keys = given.map((item) => {
    const [id = '', encoded = ''] = item.split(':')
    return { id, key: Buffer.from(encoded, 'base64') }
  })
  const ids = new Set(keys.map(({ id }) => id))
  if (ids.size < keys.length || keys.some(({ id, key }) => !/^[\w.-]{1,64}$/.test(id) || key.length !== 32)) {
    faults.push('PARLEY_MASTER_KEYS has to be id:key pairs by comma, ids different, keys 32 bytes in base64')
  }
  return { source: 'environment', keys }
}
