import { runMigrations } from '../../src/actions/runs/migrations.ts'
import type { KvEnv, QueueEnv, SqlEnv } from '../../src/env.ts'
import type { Log } from '../../src/log.ts'
import { systemClock } from '../../src/platform/clock.ts'
import type { Kv } from '../../src/platform/kv/kv.ts'
import { openKv } from '../../src/platform/kv/open.ts'
import { openQueue } from '../../src/platform/queue/open.ts'
import type { Queue } from '../../src/platform/queue/queue.ts'
import { openSql } from '../../src/platform/sql/open.ts'
import type { Sql } from '../../src/platform/sql/sql.ts'

/** Where a process that is handed this as JSON finds what runs stand on. */
export interface RunEngines {
  kv: KvEnv
  queue: QueueEnv
  sql: SqlEnv
}

export interface OpenRunEngines extends AsyncDisposable {
  kv: Kv
  queue: Queue
  sql: Sql
}

export async function openRunEngines(env: RunEngines, log: Log): Promise<OpenRunEngines> {
  await using opened = new AsyncDisposableStack()
  const clock = systemClock
  const tokens = { token: () => Promise.reject(new Error('No token is expected here.')) }
  const kv = await openKv({ env: env.kv, clock, log, tokens })
  opened.defer(() => kv.close())
  const sql = await openSql({ env: env.sql, migrations: runMigrations, clock, log, tokens })
  opened.defer(() => sql.close())
  const queue = await openQueue({ env: env.queue, clock, log, tokens })
  opened.defer(() => queue.close())
  const closing = opened.move()
  return { kv, queue, sql, [Symbol.asyncDispose]: () => closing.disposeAsync() }
}
