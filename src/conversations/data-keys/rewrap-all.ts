import { ParleyError } from '#errors.ts'
import type { Log } from '#log.ts'
import type { Secrets } from '#platform/secrets/secrets.ts'
import type { Sql } from '#platform/sql/sql.ts'
import { type MasterKeys, type MasterKeysOptions, openMasterKeys } from '../master-keys.ts'
import { createKeySafe } from './key-safe.ts'
import { dataKeyOf, unwrap, wrap } from './wrapping.ts'

export interface RewrappingOptions extends MasterKeysOptions {
  sql: Sql
  log: Log
  /** Tells of master keys that are replaced. */
  secrets?: Pick<Secrets, 'onChange'> | undefined
}

interface StoredKey {
  tenant: string
  owner: string
  id: string
  wrapped: Buffer
  master: string
}

const AT_ONCE = 100

/**
 * Puts every data key under the master key of today, also of people who do not come any more, so that an earlier one can be
 * retired, and with it the backups of its time; again when there is a new one. Two replicas that do it at once do the same. The result
 * stops it.
 */
export function startRewrapping({ sql, log, secrets, ...options }: RewrappingOptions): () => Promise<void> {
  const stop = new AbortController()
  const opening = openMasterKeys(options)
  let under = ''
  const rewrap = async () => {
    const masterKeys = await opening
    if (masterKeys.current.id === under || stop.signal.aborted) return
    under = masterKeys.current.id
    await rewrapAll(sql, masterKeys, stop.signal).then(
      ({ rewrapped, unknown }) => {
        if (rewrapped > 0) log.info({ rewrapped }, 'Data keys were put under the present master key')
        if (unknown > 0)
          log.warn({ unknown }, 'Data keys are under master keys that are not known; nobody can open them')
      },
      (error) =>
        log.warn({ err: error }, 'Not every data key is under the present master key; the next start tries again'),
    )
  }
  let done = rewrap()
  const stopHearing = secrets?.onChange(() => {
    done = done.then(rewrap)
  })
  return async () => {
    stopHearing?.()
    stop.abort()
    await done
  }
}

async function rewrapAll(
  sql: Sql,
  masterKeys: MasterKeys,
  signal: AbortSignal,
): Promise<{ rewrapped: number; unknown: number }> {
  const safe = createKeySafe(sql)
  const counted = { rewrapped: 0, unknown: 0 }
  let [tenant, id] = ['', '']
  while (!signal.aborted) {
    const found = await sql.query<StoredKey & Record<string, string | Buffer>>('system', readOthers, [
      masterKeys.current.id,
      tenant,
      id,
      AT_ONCE,
    ])
    for (const stored of found) {
      const owner = { tenant: stored.tenant, id: stored.owner }
      const at = dataKeyOf(owner)
      try {
        await safe.rewrap(owner, { id: stored.id, ...wrap(masterKeys, unwrap(masterKeys, stored, at), at) })
        counted.rewrapped += 1
      } catch (error) {
        if (!(error instanceof ParleyError) || error.code !== 'sealed_unreadable') throw error
        counted.unknown += 1
      }
      ;({ tenant, id } = stored)
    }
    if (found.length < AT_ONCE) break
  }
  return counted
}

/** $1 id of the present master key, $2 tenant and $3 id of the last one seen, $4 limit */
const readOthers = `
SELECT tenant, owner, id, wrapped, master FROM data_keys
WHERE master IS NOT NULL AND master <> $1 AND (tenant, id) > ($2, $3) ORDER BY tenant, id LIMIT $4`
