import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { setTimeout as pass } from 'node:timers/promises'
import type { RunChaosReport } from '../test/support/run-chaos.ts'
import { sharedChaos } from '../test/support/run-chaos-grounds.ts'
import { actionsAt, seeded } from '../test/support/run-chaos-plan.ts'
import { RunCrew } from '../test/support/run-crew.ts'
import { startRunLedger } from '../test/support/run-ledger.ts'
import { figure, table } from './report.ts'

const WORKERS = 3
const WARM_RUNS = 500
const PER_SECOND = 50
const MAX_WAITING = 10_000
const LEASE_MS = 2000
const SAMPLE_MS = 5000
const MIB = 2 ** 20

/**
 * Runs are asked for at a steady pace while the broker is away for so long: those that fit are accepted and kept, the rest is
 * refused. Throws when one that was accepted is lost, is done twice, or is not done once the broker is back.
 */
export async function brokerAway(seconds: number, seed: number, say: (line: string) => void): Promise<string> {
  await using opened = new AsyncDisposableStack()
  const random = seeded(seed)
  const { broker, engines } = opened.use(await sharedChaos())
  const ledger = opened.use(await startRunLedger(random))
  const key = randomBytes(32).toString('base64')
  const settings = { engines, actions: actionsAt(ledger.host), target: ledger.host, key }
  const crew = opened.use(new RunCrew({ ...settings, leaseMs: LEASE_MS, maxWaiting: MAX_WAITING }, WORKERS, random))
  await crew.ready()

  const accepted: string[] = []
  let refused = 0
  const ask = async (number: number) => {
    const call = { key: `run/${number}`, action: 'put', conversation: `run-${number}` }
    const asked = JSON.stringify({ lane: `run-${number}`, x: 0 })
    const answer = await crew.ask((worker) => worker.dispatch({ ...call, arguments: asked }))
    if ('run' in answer) accepted.push(answer.run)
    else refused += 1
  }
  const look = () => crew.ask((worker) => worker.counts())
  const open = async () => {
    const { counts } = await look()
    return counts.filter(({ status }) => status !== 'succeeded').reduce((sum, { count }) => sum + count, 0)
  }
  const memoryMib = async () => {
    const looks = await Promise.all(Array.from({ length: 2 * WORKERS }, look))
    return Math.max(...looks.map(({ residentBytes }) => residentBytes)) / MIB
  }

  for (let number = 0; number < WARM_RUNS; number++) await ask(number)
  while ((await open()) > 0) await pass(100)
  const before = await memoryMib()

  await broker.stop()
  const awaySince = performance.now()
  const samples: number[] = []
  const awayMs = () => performance.now() - awaySince
  let number = WARM_RUNS
  const sampling = setInterval(() => void memoryMib().then((mib) => samples.push(mib)), SAMPLE_MS)
  const asking = new Set<Promise<void>>()
  while (awayMs() < seconds * 1000) {
    const one = ask(number++).finally(() => asking.delete(one))
    asking.add(one)
    if (number % 1000 === 0) say(`${figure(awayMs() / 1000)} s away, ${accepted.length} accepted, ${refused} refused`)
    await pass(Math.max(0, ((number - WARM_RUNS) / PER_SECOND) * 1000 - awayMs()))
  }
  await Promise.all(asking)
  clearInterval(sampling)
  const kept = accepted.length - WARM_RUNS
  const waited = await open()
  assert.equal(waited, kept, 'what was accepted is not what is kept')

  await broker.start()
  const backSince = performance.now()
  let firstSeconds: number | undefined
  for (let left = waited; left > 0; left = await open()) {
    if (left < waited) firstSeconds ??= (performance.now() - backSince) / 1000
    assert.ok(performance.now() - backSince < 600_000, `${left} runs are not done ten minutes after`)
    await pass(50)
  }
  const allSeconds = (performance.now() - backSince) / 1000
  check(accepted, ledger)
  const most = samples.reduce((highest, mib) => Math.max(highest, mib), before)
  const heads = ['broker away, s', 'accepted and kept', 'refused', 'first done after, s', 'all done after, s']
  const row = [seconds, kept, refused].map(String)
  const memory = ['memory before, MiB', 'highest while away, MiB']
  return table([...heads, ...memory], [[...row, ...[firstSeconds ?? allSeconds, allSeconds, before, most].map(figure)]])
}

/** Each that was accepted was done, and once. */
function check(accepted: readonly string[], { entries }: Pick<RunChaosReport['ledger'], 'entries'>): void {
  for (const run of accepted) assert.equal(entries.get(run)?.effects, 1, `${run} was not done once`)
}
