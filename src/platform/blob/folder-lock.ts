import { DatabaseSync } from 'node:sqlite'
import { type Clock, delay } from '../clock.ts'
import { unavailable } from './limits.ts'

const patienceMs = 5000
const pauseMs = 10
const busy = 5

export type Writing = 'synced' | 'unsynced'

const schema = `CREATE TABLE IF NOT EXISTS leases
  (name TEXT PRIMARY KEY, holder TEXT NOT NULL, ends_at INTEGER NOT NULL) STRICT, WITHOUT ROWID`

/**
 * What the processes of one machine that share a folder agree on: who writes now, and who holds which lease.
 *
 * The lock is an open transaction of SQLite, which is a lock of the kernel: it ends with the process that holds it, however that
 * ends, so nobody has to guess whether a holder still lives, and one that lives is never robbed. `work` runs without a break, so it
 * is held for microseconds, and two stores of one process never wait for each other. The database is opened for each hold, since a
 * folder may be removed and come back; a file that is gone from its folder would lock nobody out. What is written `unsynced` may be
 * lost when the machine goes down, and nobody waits for its disk.
 */
export async function holdLock<Result>(
  clock: Clock,
  path: string,
  work: (database: DatabaseSync) => Result,
  writing: Writing = 'synced',
): Promise<Result> {
  const until = clock.monotonic() + patienceMs
  for (;;) {
    const outcome = tryLock(path, work, writing)
    if (outcome) return outcome.result
    if (clock.monotonic() > until) throw unavailable('Another process has the lock of the folder and does not let go.')
    await delay(clock, Math.random() * pauseMs)
  }
}

function tryLock<Result>(
  path: string,
  work: (database: DatabaseSync) => Result,
  writing: Writing,
): { result: Result } | undefined {
  using database = new DatabaseSync(path)
  if (writing === 'unsynced') database.exec('PRAGMA synchronous = OFF')
  try {
    // Nobody else may read either, or a commit could be refused after the work is done.
    database.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    if (isBusy(error)) return undefined
    throw error
  }
  const result = work(database)
  database.exec('COMMIT')
  return { result }
}

/** Whether `holder` has the lease of `name` until `endsAt` now: nobody else's is still running. */
export function takeLease(
  database: DatabaseSync,
  { name, holder, now, endsAt }: { name: string; holder: string; now: number; endsAt: number },
): boolean {
  database.exec(schema)
  const taken = database
    .prepare(
      `INSERT INTO leases (name, holder, ends_at) VALUES (?, ?, ?)
       ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, ends_at = excluded.ends_at WHERE leases.ends_at <= ?`,
    )
    .run(name, holder, endsAt, now)
  return taken.changes === 1
}

/** Whether `holder` still had the lease of `name`, and has it until `endsAt` now. */
export function extendLease(
  database: DatabaseSync,
  { name, holder, now, endsAt }: { name: string; holder: string; now: number; endsAt: number },
): boolean {
  database.exec(schema)
  const extended = database
    .prepare('UPDATE leases SET ends_at = ? WHERE name = ? AND holder = ? AND ends_at > ?')
    .run(endsAt, name, holder, now)
  return extended.changes === 1
}

export function endLease(database: DatabaseSync, name: string, holder: string): void {
  database.exec(schema)
  database.prepare('DELETE FROM leases WHERE name = ? AND holder = ?').run(name, holder)
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === busy
}
