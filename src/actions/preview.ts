import type { Stops } from '#governance/stops.ts'
import type { Principal } from '#identity/principal.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { Sql } from '#platform/sql/sql.ts'
import { configOf, type PinnedConfigs } from './config-of.ts'
import type { Executors } from './executors/executor.ts'
import type { RunNews } from './run-news.ts'
import { runOf } from './run-shape.ts'
import { RUN_COLUMNS, type RunRow } from './runs/run-row.ts'
import type { RunSeals } from './runs/run-seals.ts'

export interface PreviewOptions {
  sql: Sql
  seals: RunSeals
  news: RunNews
  configs: PinnedConfigs
  /** What is stopped is not asked either; nothing is when absent. */
  stops?: Pick<Stops, 'found'> | undefined
  /** A fresh token of a principal; rejects with `IdentityNeeded`. */
  userToken(principal: Principal, scope: string): Promise<string>
  /** Whether it may still be acted for somebody; always when absent. */
  isLive?: ((principal: Principal) => Promise<boolean>) | undefined
  clock: Clock
  log: Log
}

const PREVIEW_MS = 10_000

/** As what is asked for is shown without a preview, one that comes later is a change of the run. */
const KEEP = `
  UPDATE runs r SET preview = $2, version = r.version + 1
  WHERE r.id = $1 AND r.revision = $3 AND r.status = 'awaiting-approval' RETURNING ${RUN_COLUMNS}`

/**
 * Asks the target what the run would do, where it offers that, in the name of the user who asks, and keeps it for whoever decides.
 * Never rejects.
 */
export async function previewOf(options: PreviewOptions, executors: Executors, row: RunRow): Promise<void> {
  const { sql, seals, news, configs, stops, userToken, isLive, clock, log } = options
  const abort = new AbortController()
  const stop = clock.after(PREVIEW_MS, () => abort.abort(new DOMException('It took too long.', 'TimeoutError')))
  try {
    const { document } = await configOf(configs, row)
    const dryRun = executors.dryRunOf(document, row.action)
    if (!dryRun) return
    const { principal, arguments: args } = await seals.input(row)
    if (isLive && !(await isLive(principal))) return
    const { action, specialist } = row
    if (stops?.found({ principal, action, ...(specialist !== null && { specialist }) })) return
    const { signal } = abort
    const shown = await dryRun(args, {
      ...{ clock, signal, principal, run: row.id, key: row.id, attempt: 0 },
      traceparent: row.traceparent ?? undefined,
      begin: async () => {},
      userToken: (scope) => userToken(principal, scope),
    })
    const sealed = await seals.seal({ tenant: row.tenant, id: row.owner }, row.id, 'preview', shown ?? null)
    const [kept] = await sql.query<RunRow>('system', KEEP, [row.id, sealed, row.revision])
    if (kept) news.changed(kept, await runOf(kept, seals), false)
  } catch (error) {
    log.info({ run: row.id, err: error }, 'A run could not be previewed')
  } finally {
    stop()
  }
}
