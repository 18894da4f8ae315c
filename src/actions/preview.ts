import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { Sql } from '#platform/sql/sql.ts'
import { configOf, type PinnedConfigs } from './config-of.ts'
import { type Executors, IdentityNeeded } from './executors/executor.ts'
import type { RunRow } from './runs/run-row.ts'
import type { RunSeals } from './runs/run-seals.ts'

export interface PreviewOptions {
  sql: Sql
  seals: RunSeals
  configs: PinnedConfigs
  clock: Clock
  log: Log
}

const PREVIEW_MS = 10_000

/** Asks the target what the run would do, where it offers that, and keeps it for whoever decides. Never rejects. */
export async function previewOf(options: PreviewOptions, executors: Executors, row: RunRow): Promise<void> {
  const { sql, seals, configs, clock, log } = options
  const abort = new AbortController()
  const stop = clock.after(PREVIEW_MS, () => abort.abort(new DOMException('It took too long.', 'TimeoutError')))
  try {
    const { document } = await configOf(configs, row)
    const dryRun = executors.dryRunOf(document, row.action)
    if (!dryRun) return
    const { principal, arguments: args } = await seals.input(row)
    const { signal } = abort
    const shown = await dryRun(args, {
      ...{ clock, signal, principal, run: row.id, key: row.id, attempt: 0 },
      traceparent: row.traceparent ?? undefined,
      begin: async () => {},
      userToken: () => Promise.reject(new IdentityNeeded()),
    })
    const sealed = await seals.seal({ tenant: row.tenant, id: row.owner }, row.id, 'preview', shown ?? null)
    await sql.query('system', 'UPDATE runs SET preview = $2 WHERE id = $1 AND revision = $3', [
      ...[row.id, sealed, row.revision],
    ])
  } catch (error) {
    log.info({ run: row.id, err: error }, 'A run could not be previewed')
  } finally {
    stop()
  }
}
