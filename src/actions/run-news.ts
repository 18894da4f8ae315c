import type { Events } from '#events/events.ts'
import { partitionOf } from '#identity/principal.ts'
import { type Key, type Kv, key } from '#platform/kv/kv.ts'
import type { Run } from './port.ts'
import type { RunRow } from './runs/run-row.ts'

const SHARDS = 16
const shardKeys: readonly Key[] = Array.from({ length: SHARDS }, (_, shard) => key(`runs-${shard}`, 'changed'))
const followUps = key('runs', 'follow-ups')

/** Handed the run where it is known already. */
type Listener = (run: Run | undefined) => void

/**
 * Tells whoever waits for a run, on any replica, that its row has changed. Best effort: who waits also reads the row now and
 * then. And tells what came of it, as a fact, once it has come to rest.
 */
export class RunNews {
  readonly #kv: Kv
  readonly #events: Pick<Events, 'emit'>
  readonly #waiting = new Map<string, Set<Listener>>()
  readonly #followUps = new Set<() => void>()
  #stops: (() => void)[] = []

  constructor(kv: Kv, events: Pick<Events, 'emit'>) {
    this.#kv = kv
    this.#events = events
  }

  /** Resolves once it hears of changes; rejects with state_unavailable. */
  async listen(): Promise<void> {
    const wake = (run: string) => this.#wake(run)
    const tellFollowUps = () => {
      for (const listener of this.#followUps) listener()
    }
    const asked = await Promise.allSettled([
      ...shardKeys.map((shard) => this.#kv.listen(shard, wake)),
      this.#kv.listen(followUps, tellFollowUps),
    ])
    this.#stops = asked.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []))
    const fault = asked.find((answer) => answer.status === 'rejected')
    if (!fault) return
    // All or none, so that who tries again hears nothing twice.
    this.close()
    throw fault.reason
  }

  close(): void {
    for (const stop of this.#stops) stop()
    this.#stops = []
  }

  /** A run has changed here: those on this replica get it as it is now, others read its row. */
  changed(row: RunRow, run: Run, late: boolean): void {
    this.rested(row)
    this.#wake(run.id, run)
    const shard = shardKeys[Number.parseInt(run.id.slice(-1), 16) % SHARDS]
    if (shard) this.#kv.signal(shard, run.id).catch(() => {})
    if (late) this.#kv.signal(followUps, '').catch(() => {})
  }

  /** Nothing is told of a run that is still under way. */
  rested(row: RunRow): void {
    const { id, action, status, reason, tenant, owner, settledAt, config, arm, cohort, unit } = row
    if (settledAt === null) return
    const principal = partitionOf({ tenant, id: owner })
    const served = { config, arm, cohort, unit }
    this.#events.emit('run.settled', { ...served, run: id, action, status, reason, principal, tenant, settledAt })
  }

  /** The result ends it. */
  onChange(run: string, listener: Listener): () => void {
    const listeners = this.#waiting.getOrInsertComputed(run, () => new Set())
    listeners.add(listener)
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0) this.#waiting.delete(run)
    }
  }

  onFollowUp(listener: () => void): () => void {
    this.#followUps.add(listener)
    return () => this.#followUps.delete(listener)
  }

  #wake(run: string, now?: Run): void {
    for (const listener of this.#waiting.get(run) ?? []) listener(now)
  }
}
