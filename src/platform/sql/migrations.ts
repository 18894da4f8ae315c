import { createHash } from 'node:crypto'
import type { ClientBase } from 'pg'
import { ParleyError } from '#errors.ts'
import type { Log } from '#log.ts'
import { rolesMigration } from './roles-migration.ts'
import type { Migration } from './sql.ts'

/** Held by whoever migrates, so that of many replicas that start at once one does it and the others find it done. */
const lockKey = 5_738_201_964

/**
 * Ours and those of the modules, in order of their numbers. Throws a `RangeError` for a name that is none, or there twice.
 */
export function inOrder(migrations: readonly Migration[]): Migration[] {
  const all = [rolesMigration, ...migrations].sort((a, b) => (a.name < b.name ? -1 : 1))
  const names = new Set<string>()
  for (const { name } of all) {
    if (!/^\d{4}-[a-z0-9]+(-[a-z0-9]+)*$/.test(name)) throw new RangeError(`not the name of a migration: ${name}`)
    if (names.has(name)) throw new RangeError(`two migrations have one name: ${name}`)
    names.add(name)
  }
  return all
}

/**
 * Brings the schema up to date, all that is missing in one transaction. Rejects with `environment_invalid` when the text of
 * an applied migration has changed. Names that we do not know are those of a newer replica, and stay.
 */
export async function migrate(client: ClientBase, wanted: readonly Migration[], log: Log): Promise<void> {
  if (pending(wanted, await applied(client)).length === 0) return
  await client.query('BEGIN')
  try {
    await client.query('SET LOCAL statement_timeout = 0')
    await client.query(`SELECT pg_advisory_xact_lock(${lockKey})`)
    await client.query(createTable)
    for (const migration of pending(wanted, await applied(client))) {
      await client.query(migration.sql)
      await client.query('RESET ROLE')
      await client.query('INSERT INTO parley_migrations (name, hash) VALUES ($1, $2)', [
        migration.name,
        hashOf(migration),
      ])
      log.info({ migration: migration.name }, 'A migration was applied')
    }
    await client.query('COMMIT')
  } catch (error) {
    // What broke the connection as well is told by the first error.
    await client.query('ROLLBACK').catch(() => {})
    throw error
  }
}

const createTable = `CREATE TABLE IF NOT EXISTS parley_migrations (
  name text PRIMARY KEY,
  hash text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
)`

/** Hashes by name. */
async function applied(client: ClientBase): Promise<Map<string, string>> {
  const { rows } = await client.query<{ exists: boolean }>(
    `SELECT to_regclass('parley_migrations') IS NOT NULL AS exists`,
  )
  if (!rows[0]?.exists) return new Map()
  const known = await client.query<{ name: string; hash: string }>('SELECT name, hash FROM parley_migrations')
  return new Map(known.rows.map(({ name, hash }) => [name, hash]))
}

function pending(wanted: readonly Migration[], known: ReadonlyMap<string, string>): Migration[] {
  return wanted.filter((migration) => {
    const hash = known.get(migration.name)
    if (hash !== undefined && hash !== hashOf(migration)) {
      throw new ParleyError('environment_invalid', {
        message: `The migration ${migration.name} was applied to this database with another text.`,
      })
    }
    return hash === undefined
  })
}

function hashOf({ sql }: Migration): string {
  return createHash('sha256').update(sql).digest('hex')
}
