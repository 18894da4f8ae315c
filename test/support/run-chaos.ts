import { randomBytes } from 'node:crypto'
import { setTimeout as pass } from 'node:timers/promises'
import type { RunStatus } from '../../src/actions/port.ts'
import { actionsAt, eventsOf, planOf, seeded } from './run-chaos-plan.ts'
import { RunCrew } from './run-crew.ts'
import type { RunEngines } from './run-engines.ts'
import { type RunLedger, startRunLedger } from './run-ledger.ts'
import type { RunCall } from './run-worker.ts'
import type { RunCounts } from './run-worker-process.ts'

export interface RunChaos {
  engines: RunEngines
  workers: number
  runs: number
  kills: number
  drops: number
  /** Ends what holds the workers to the broker. */
  drop(): void
  /** So many runs are under way at once, those left out that wait for another of their conversation. */
  atOnce: number
  /** Ordered runs of one conversation. */
  perConversation: number
  seed: number
  /** After the last event, every run is settled within this. */
  settleMs: number
  /**
   * A run whose worker died before it could tell the queue is looked after a minute later. True: that minute is over when the
   * chaos is.
   */
  hurry: boolean
  say(line: string): void
}

/** A run as its row has it at the end. */
export interface FinalRun {
  id: string
  key: string
  action: string
  status: RunStatus
}

export interface RunChaosReport {
  planned: readonly RunCall[]
  runs: readonly FinalRun[]
  ledger: Pick<RunLedger, 'entries' | 'arrivals'>
  /** Attempts by how they failed; `worker_lost`: their worker died. */
  failures: Record<string, number>
  /** From the first dispatch to the last settlement. */
  seconds: number
  /** Of those, after the last event. */
  settlingSeconds: number
}

const FAILURES = 'SELECT reason, count(*) AS count FROM attempts WHERE reason IS NOT NULL GROUP BY reason'
const LEASE_MS = 2000
const LOOK_MS = 50
const DELAY_MS = 30
/** Conversations that are asked for beside one another. */
const LINES = 500
/** Requests that the target has in hand. */
const BUSY = 4

/** Many runs against a target in trouble, while workers are killed and the broker is dropped, until all are settled. */
export async function runChaos(chaos: RunChaos): Promise<RunChaosReport> {
  await using opened = new AsyncDisposableStack()
  const random = seeded(chaos.seed)
  const ledger = opened.use(await startRunLedger(random))
  const key = randomBytes(32).toString('base64')
  const options = { engines: chaos.engines, actions: actionsAt(ledger.host), target: ledger.host, key }
  const crew = opened.use(new RunCrew({ ...options, leaseMs: LEASE_MS, maxWaiting: 10_000 }, chaos.workers, random))
  await crew.ready()
  const startedAt = performance.now()
  const planned = planOf(chaos.runs, chaos.perConversation)
  await dispatchAll(chaos, crew, planned, ledger, random)
  const dispatchedAt = performance.now()
  await allSettled(chaos, crew, dispatchedAt)
  const endedAt = performance.now()
  const runs = await crew.ask((worker) => worker.query<FinalRun>('SELECT id, key, action, status FROM runs'))
  const failed = await crew.ask((worker) => worker.query<{ reason: string; count: number }>(FAILURES))
  return {
    planned: planned.flat(),
    runs,
    ledger,
    failures: Object.fromEntries(failed.map(({ reason, count }) => [reason, count])),
    seconds: (endedAt - startedAt) / 1000,
    settlingSeconds: (endedAt - dispatchedAt) / 1000,
  }
}

/** Asks for all, event by event: so many runs are asked for between one and the next. */
async function dispatchAll(
  chaos: RunChaos,
  crew: RunCrew,
  lanes: readonly RunCall[][],
  ledger: Pick<RunLedger, 'busy'>,
  random: () => number,
): Promise<void> {
  /** `over`: also when one of those that ask has failed. */
  const asked = { taken: 0, upTo: 0, underWay: 0, over: false }

  /** Again and again until somebody has it, as a client does that hears nothing. */
  async function dispatch(call: RunCall): Promise<void> {
    while (!asked.over && (asked.taken >= asked.upTo || asked.underWay >= chaos.atOnce)) await pass(LOOK_MS / 10)
    if (asked.over) return
    asked.underWay += 1
    await crew.ask(async (worker) => {
      const answer = await worker.dispatch(call)
      if ('refused' in answer) throw new Error(answer.refused)
    })
    asked.taken += 1
  }

  async function keepCount(): Promise<void> {
    while (!asked.over) {
      const { counts } = await crew.ask((worker) => worker.counts())
      const active = counts.filter((each) => isOpen(each) && !each.waiting)
      asked.underWay = active.reduce((sum, { count }) => sum + count, 0)
      await pass(LOOK_MS)
    }
  }

  async function beBad(): Promise<void> {
    const events = eventsOf(chaos.kills, chaos.drops, random)
    for (const [at, event] of events.entries()) {
      await crew.ready()
      while (!asked.over && asked.taken < asked.upTo) await pass(1)
      asked.upTo = Math.ceil((chaos.runs * (at + 1)) / (events.length + 1))
      // It meets workers that are at work.
      while (!asked.over && asked.taken < asked.upTo && ledger.busy < BUSY) await pass(1)
      await pass(random() * DELAY_MS)
      if (asked.over) return
      if (event === 'drop') chaos.drop()
      else await crew.killOne()
      if ((at + 1) % 20 === 0) chaos.say(`${at + 1} of ${events.length} events, ${asked.taken} runs asked for`)
    }
    asked.upTo = chaos.runs
  }

  // Not all at once: thousands that wait would keep the machine from those that work.
  const left = lanes.values()
  const lines = Array.from({ length: LINES }, async () => {
    for (const lane of left) for (const call of lane) await dispatch(call)
  })
  const asking = Promise.all([beBad(), ...lines]).finally(() => {
    asked.over = true
  })
  await Promise.all([asking, keepCount()])
}

async function allSettled({ hurry, settleMs, seed }: RunChaos, crew: RunCrew, since: number): Promise<void> {
  for (;;) {
    const { counts } = await crew.ask((worker) => worker.counts())
    const open = counts.filter(isOpen)
    if (open.length === 0) return
    const tookMs = performance.now() - since
    if (tookMs > settleMs) throw new Error(`Seed ${seed}: not settled in time: ${JSON.stringify(open)}`)
    if (hurry && tookMs > LEASE_MS) {
      const later = Date.now() + 2 * LEASE_MS
      await crew.ask((worker) =>
        worker.query(`UPDATE runs SET due_at = 1 WHERE NOT waiting AND due_at > ${later}
          AND (status = 'queued' OR status = 'retrying' AND reason = 'worker_lost')`),
      )
    }
    await pass(LOOK_MS)
  }
}

/** Nobody has to decide anything, so what is not settled is on its way. */
function isOpen({ status }: RunCounts): boolean {
  return ['queued', 'running', 'retrying'].includes(status)
}
