import { ParleyError } from '#errors.ts'
import type { Sql, Tx } from '#platform/sql/sql.ts'
import { type KeyPage, keyLimits } from '../keys.ts'
import type { Owner } from '../principal.ts'
import { KEY_COLUMNS, type KeyRow } from './key-row.ts'

/** A key to be made. */
export type NewKey = Omit<KeyRow, 'oldHash' | 'oldUntil' | 'rotatedAt' | 'revokedAt' | 'usedAt' | 'version'> & {
  request: string | null
  asked: string
}

export interface Rotated {
  hash: Buffer
  oldHash: Buffer | null
  oldUntil: number | null
  expiresAt: number
}

const DAY_MS = 86_400_000
const KEPT_AFTER_END_MS = 90 * DAY_MS
const MADE_TOO_MANY = `Nobody makes more than ${keyLimits.perOwnerADay} keys a day, those that have ended included.`
const INSERT = `
  INSERT INTO parley_keys (tenant, id, owner, name, groups, groups_among, chat, actions, budget_usd, budget_period, hash, created_at, expires_at,
    request, asked)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) RETURNING ${KEY_COLUMNS}`
/** $1 tenant, $2 owner ('' = anybody), $3 before, $4 limit */
const LIST = `
  SELECT ${KEY_COLUMNS} FROM parley_keys WHERE tenant = $1 AND ($2 = '' OR owner = $2) AND id < $3 ORDER BY id DESC LIMIT $4`
/** Above every id. */
const NEWEST = 'key_~'

/** Keys at rest. Every method rejects with database_unavailable. */
export function createKeyStore(sql: Sql) {
  async function one(scope: Tx, tenant: string, id: string): Promise<KeyRow | undefined> {
    const text = `SELECT ${KEY_COLUMNS} FROM parley_keys WHERE tenant = $1 AND id = $2 FOR UPDATE`
    return (await scope.query<KeyRow>(text, [tenant, id]))[0]
  }

  return {
    /** Whose key it is, is what the row says. */
    async find(id: string): Promise<KeyRow | undefined> {
      return (await sql.query<KeyRow>('system', `SELECT ${KEY_COLUMNS} FROM parley_keys WHERE id = $1`, [id]))[0]
    },

    async get(tenant: string, id: string): Promise<KeyRow | undefined> {
      const text = `SELECT ${KEY_COLUMNS} FROM parley_keys WHERE tenant = $1 AND id = $2`
      return (await sql.query<KeyRow>({ tenant }, text, [tenant, id]))[0]
    },

    list(tenant: string, { owner, limit, cursor }: Pick<KeyPage, 'owner' | 'limit' | 'cursor'>): Promise<KeyRow[]> {
      return sql.query<KeyRow>({ tenant }, LIST, [tenant, owner ?? '', cursor ?? NEWEST, limit])
    },

    /** Or the one that the same request has made. Those that ended long ago make room. */
    insert(key: NewKey, record: (tx: Tx) => Promise<void>): Promise<{ row: KeyRow; isNew: boolean }> {
      const { tenant, owner, request, asked, createdAt: now } = key
      return sql.transaction({ tenant }, async (tx) => {
        // Whoever makes one of the tenant's waits for the one before: two at once would both find room for the last.
        await tx.query("SELECT pg_advisory_xact_lock(hashtextextended('parley keys ' || $1, 0))", [tenant])
        const known = await tx.query<KeyRow & { asked: string }>(
          `SELECT asked, ${KEY_COLUMNS} FROM parley_keys WHERE tenant = $1 AND owner = $2 AND request = $3`,
          [tenant, owner, request],
        )
        if (known[0]) {
          if (known[0].asked !== asked) throw new ParleyError('idempotency_mismatch')
          return { row: known[0], isNew: false }
        }
        const endedBefore = now - KEPT_AFTER_END_MS
        await tx.query('DELETE FROM parley_keys WHERE tenant = $1 AND (expires_at < $2 OR revoked_at < $2)', [
          ...[tenant, endedBefore],
        ])
        const [{ all, own, made } = { all: 0, own: 0, made: 0 }] = await tx.query<
          Record<'all' | 'own' | 'made', number>
        >(
          `SELECT count(*) FILTER (WHERE live) AS all, count(*) FILTER (WHERE live AND own) AS own,
             count(*) FILTER (WHERE own AND created_at > $4) AS made
           FROM (SELECT created_at, owner = $2 AS own, revoked_at IS NULL AND expires_at > $3 AS live
                 FROM parley_keys WHERE tenant = $1) AS keys`,
          [tenant, owner, now, now - DAY_MS],
        )
        if (made >= keyLimits.perOwnerADay) throw new ParleyError('too_many_keys', { message: MADE_TOO_MANY })
        if (own >= keyLimits.perOwner || all >= keyLimits.perTenant) throw new ParleyError('too_many_keys')
        const { id, name, groups, groupsAmong, chat, actions, budgetUsd, budgetPeriod, hash, expiresAt } = key
        const [row] = await tx.query<KeyRow>(INSERT, [
          ...[
            tenant,
            id,
            owner,
            name,
            groups,
            groupsAmong,
            chat,
            actions,
            budgetUsd,
            budgetPeriod,
            hash,
            now,
            expiresAt,
          ],
          ...[request, asked],
        ])
        if (!row) throw new Error('A key was not kept.')
        await record(tx)
        return { row, isNew: true }
      })
    },

    /** `decide` sees the row as nobody can change it meanwhile. */
    rotate(
      tenant: string,
      id: string,
      now: number,
      decide: (row: KeyRow | undefined) => Rotated,
      record: (tx: Tx, next: Rotated) => Promise<void>,
    ): Promise<KeyRow> {
      return sql.transaction({ tenant }, async (tx) => {
        const next = decide(await one(tx, tenant, id))
        const { hash, oldHash, oldUntil, expiresAt } = next
        const [row] = await tx.query<KeyRow>(
          `UPDATE parley_keys SET hash = $3, old_hash = $4, old_until = $5, expires_at = $6, rotated_at = $7, version = version + 1
           WHERE tenant = $1 AND id = $2 RETURNING ${KEY_COLUMNS}`,
          [tenant, id, hash, oldHash, oldUntil, expiresAt, now],
        )
        if (!row) throw new Error('A key was not rotated.')
        await record(tx, next)
        return row
      })
    },

    /** False where it was revoked before. */
    revoke(tenant: string, id: string, now: number, record: (tx: Tx) => Promise<void>): Promise<boolean> {
      return sql.transaction({ tenant }, async (tx) => {
        const revoked = await tx.query(
          `UPDATE parley_keys SET revoked_at = $3, version = version + 1
           WHERE tenant = $1 AND id = $2 AND revoked_at IS NULL RETURNING id`,
          [tenant, id, now],
        )
        if (revoked.length > 0) await record(tx)
        return revoked.length > 0
      })
    },

    /** Resolves with those that are whoever's no more. */
    disown({ tenant, id: owner }: Owner, now: number, record: (tx: Tx, key: string) => Promise<void>): Promise<number> {
      return sql.transaction({ tenant }, async (tx) => {
        const live = await tx.query<{ id: string }>(
          'SELECT id FROM parley_keys WHERE tenant = $1 AND owner = $2 AND revoked_at IS NULL FOR UPDATE',
          [tenant, owner],
        )
        const disowned = await tx.query(
          `UPDATE parley_keys SET owner = NULL, name = '', groups = '{}', groups_among = NULL, request = NULL, asked = NULL,
             revoked_at = coalesce(revoked_at, $3), version = version + 1
           WHERE tenant = $1 AND owner = $2 RETURNING id`,
          [tenant, owner, now],
        )
        for (const { id } of live) await record(tx, id)
        return disowned.length
      })
    },

    async touch(id: string, now: number): Promise<void> {
      await sql.query('system', 'UPDATE parley_keys SET used_at = greatest(used_at, $2::bigint) WHERE id = $1', [
        id,
        now,
      ])
    },
  }
}

export type KeyStore = ReturnType<typeof createKeyStore>
