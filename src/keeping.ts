import { createArchive } from '#conversations/archive/create.ts'
import { startRetention } from '#conversations/archive/retention.ts'
import type { Archive } from '#conversations/archive.ts'
import type { Conversations } from '#conversations/conversations.ts'
import { createConversations } from '#conversations/create.ts'
import { startRewrapping } from '#conversations/data-keys/rewrap-all.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { Kv } from '#platform/kv/kv.ts'
import type { Secrets } from '#platform/secrets/secrets.ts'
import type { Sql } from '#platform/sql/sql.ts'
import type { Env } from './env.ts'

export interface KeepingOptions {
  env: Pick<Env, 'sql' | 'masterKeys' | 'limits'>
  kv: Kv
  sql: Sql
  secrets: Secrets | undefined
  clock: Clock
  log: Log
}

export interface Keeping {
  conversations: Conversations
  archive: Archive | undefined
  close(): Promise<void>
}

/** Conversations, and with PostgreSQL what keeps them for good: a chat that calls no actions does not open PGlite. */
export async function openKeeping({ env, kv, sql, secrets, clock, log }: KeepingOptions): Promise<Keeping> {
  const { conversationIdleMs: idleMs, archiveMs: keepMs } = env.limits
  const keys = { masterKeys: env.masterKeys, onUnknownMaster: () => secrets?.doubt() }
  await using opened = new AsyncDisposableStack()
  const archive = env.sql.engine === 'postgres' ? await createArchive({ sql, ...keys }) : undefined
  if (archive) {
    opened.defer(startRewrapping({ sql, log, secrets, ...keys }))
    opened.defer(startRetention({ archive, clock, log, keepMs }))
  }
  const conversations = await createConversations({ kv, ...keys, idleMs, clock, archive })
  const lifetime = opened.move()
  return { conversations, archive, close: () => lifetime.disposeAsync() }
}
