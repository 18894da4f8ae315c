import type { Owner } from '#identity/principal.ts'
import { ConstraintError, type Sql } from '#platform/sql/sql.ts'
import type { WrappedKey } from '../store/data-key.ts'

/** A wrapped key and what tells it apart from others: see `keyIdOf`. */
export interface KnownKey extends WrappedKey {
  id: string
}

/**
 * The home of wrapped data keys, where the live state may be lost. Every method rejects with database_unavailable while the
 * database is out of reach.
 */
export interface KeySafe {
  /** The owner's present key: the candidate becomes it where there is none. `undefined`: the candidate was destroyed. */
  settle(owner: Owner, candidate: KnownKey): Promise<KnownKey | undefined>
  /** The owner's present key, if there is one. */
  present(owner: Owner): Promise<KnownKey | undefined>
  /** Puts the same key in another wrapping, unless it was destroyed. */
  rewrap(owner: Owner, key: KnownKey): Promise<void>
  /** All keys of the owner, and the copy that the live state has; resolves with how many there were. Safe to repeat. */
  destroy(owner: Owner, copy: string | undefined): Promise<number>
}

export function createKeySafe(sql: Sql): KeySafe {
  async function present(owner: Owner): Promise<KnownKey | undefined> {
    const [found] = await sql.query<KnownKey>({ tenant: owner.tenant }, readPresent, [owner.tenant, owner.id])
    return found
  }

  return {
    present,

    async settle(owner, { id, wrapped, master }) {
      const whose = [owner.tenant, owner.id]
      for (;;) {
        const found = await present(owner)
        if (found) return found
        try {
          const [kept] = await sql.query({ tenant: owner.tenant }, keepPresent, [...whose, id, wrapped, master])
          return kept && { id, wrapped, master }
        } catch (error) {
          // Another replica was quicker.
          if (!(error instanceof ConstraintError) || error.kind !== 'unique') throw error
        }
      }
    },

    async rewrap(owner, { id, wrapped, master }) {
      await sql.query({ tenant: owner.tenant }, rewrapKey, [owner.tenant, owner.id, id, wrapped, master])
    },

    destroy: ({ tenant, id }, copy) =>
      sql.transaction({ tenant }, async (tx) => {
        // First: it waits for whoever is about to keep that copy, which is then found by what follows.
        if (copy !== undefined) await tx.query(refuseCopy, [tenant, copy])
        const gone = await tx.query(destroyKeys, [tenant, id])
        return gone.length
      }),
  }
}

/** $1 tenant, $2 owner */
const readPresent = 'SELECT id, wrapped, master FROM data_keys WHERE tenant = $1 AND owner = $2 AND present'

/**
 * $1 tenant, $2 owner, $3 id, $4 wrapped key, $5 id of its master key: a key of before becomes the present one, a destroyed one
 * does not.
 */
const keepPresent = `
INSERT INTO data_keys (tenant, owner, id, wrapped, master, present) VALUES ($1, $2, $3, $4, $5, true)
ON CONFLICT (tenant, id) DO UPDATE SET present = true, wrapped = excluded.wrapped, master = excluded.master
WHERE data_keys.owner = excluded.owner
RETURNING id`

/** $1 tenant, $2 owner, $3 id, $4 wrapped key, $5 id of its master key */
const rewrapKey = 'UPDATE data_keys SET wrapped = $4, master = $5 WHERE tenant = $1 AND owner = $2 AND id = $3'

/** $1 tenant, $2 id */
const refuseCopy = 'INSERT INTO data_keys (tenant, id) VALUES ($1, $2) ON CONFLICT DO NOTHING'

/** $1 tenant, $2 owner */
const destroyKeys = `
UPDATE data_keys SET owner = NULL, wrapped = NULL, master = NULL, present = false WHERE tenant = $1 AND owner = $2
RETURNING id`
