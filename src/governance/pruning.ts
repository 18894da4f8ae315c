import type { RetentionEnv } from '#env.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { Audit } from './audit.ts'
import type { Ledger } from './ledger.ts'

export interface PruningOptions {
  ledger: Pick<Ledger, 'prune'>
  audit: Pick<Audit, 'prune'>
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
 * Takes out what is past its time, by whole months (UTC): so a month that is there is whole, and a chain states one cut a month.
 * On every replica; what one has taken out, the others find gone. The result ends it.
 */
export function startPruning({ ledger, audit, env, clock, log }: PruningOptions): () => Promise<void> {
  const kinds = [
    { kind: 'ledger', keepMs: env.ledgerMs, prune: ledger.prune },
    { kind: 'audit', keepMs: env.auditMs, prune: audit.prune },
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
        const pruned = await prune(monthOf(clock.now() - keepMs))
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
