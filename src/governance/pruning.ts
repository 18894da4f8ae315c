import type { RetentionEnv } from '#env.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { Audit } from './audit.ts'
import type { Ledger } from './ledger.ts'

export interface PruningOptions {
  ledger: Pick<Ledger, 'prune'>
  audit: Pick<Audit, 'prune'>
  /** Takes out a part of the runs that came to rest before this, ms since the epoch; how many. */
  pruneRuns(before: number): Promise<number>
  /** How long each keeps what it has. */
  env: RetentionEnv
  clock: Clock
  log: Log
}

const FIRST_MS = 60_000
const EVERY_MS = 6 * 60 * 60_000
/** Between two steps, so that nobody waits behind a large deletion. */
const STEP_MS = 1000

/**
 * Takes out what is past its time; of ledger and audit by whole months (UTC): so a month that is there is whole, and a chain states
 * one cut a month. On every replica; what one has taken out, the others find gone. The result ends it.
 */
export function startPruning({ ledger, audit, pruneRuns, env, clock, log }: PruningOptions): () => Promise<void> {
  const kinds = [
    { kind: 'ledger', keepMs: env.ledgerMs, prune: ledger.prune },
    { kind: 'audit', keepMs: env.auditMs, prune: audit.prune },
    { kind: 'runs', keepMs: env.runMs, prune: pruneRuns },
  ]
  let stopped = false
  let pruning: Promise<void> = Promise.resolve()
  let cancelNext = clock.after(FIRST_MS, begin)

  function begin(): void {
    pruning = pruneAll().then((gone) => {
      if (!stopped) cancelNext = clock.after(gone > 0 ? STEP_MS : EVERY_MS, begin)
    })
  }

  async function pruneAll(): Promise<number> {
    let gone = 0
    for (const { kind, keepMs, prune } of kinds) {
      try {
        const before = clock.now() - keepMs
        const pruned = await prune(kind === 'runs' ? before : monthOf(before))
        if (pruned > 0) log.info({ kind, entries: pruned }, 'What is past its time was taken out')
        gone += pruned
      } catch (error) {
        log.warn({ kind, err: error }, 'What is past its time could not be taken out; it is tried again')
      }
    }
    return gone
  }

  return async () => {
    stopped = true
    cancelNext()
    await pruning
  }
}

/** When the month began that this is in. */
function monthOf(at: number): number {
  const date = new Date(at)
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth())
}
