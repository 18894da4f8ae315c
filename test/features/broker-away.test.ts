import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { setTimeout as pass } from 'node:timers/promises'
import { chatConfig } from '../support/chat-config.ts'
import { nativeClient } from '../support/native-client.ts'
import { startReplica } from '../support/replica.ts'
import { startSharedEngines } from '../support/shared-engines.ts'

const WAITING = 40
const PACE_MS = 25
/** What is waiting is known a second late, and a count takes its time. */
const LATE_MS = 2000
const REFUSED = 2000
const GROWTH_KIB = 64 * 1024

test('broker away: runs are accepted and kept, then refused; memory is bounded; all are done once it is back', async () => {
  await using opened = new AsyncDisposableStack()
  const folder = await mkdtemp(path.join(tmpdir(), 'parley-away-'))
  opened.defer(() => rm(folder, { recursive: true, force: true }))
  const { broker, variables } = opened.use(await startSharedEngines())
  const model = {
    provider: 'offline',
    contextWindow: 32_000,
    continuation: 'prefill',
    price: { input: 0, output: 0 },
  } as const
  await writeFile(path.join(folder, 'v1.json'), JSON.stringify(chatConfig({ offline: model })))
  const replica = opened.use(
    await startReplica({
      ...variables,
      PARLEY_CONFIG_DIR: folder,
      PARLEY_DATA_DIR: path.join(folder, 'data'),
      PARLEY_RUNS_WAITING: String(WAITING),
      PARLEY_LOG_LEVEL: 'silent',
    }),
  )
  const client = nativeClient(replica.url)
  const start = (x: number, wait = 0) => {
    const headers = wait > 0 ? { prefer: `wait=${wait}` } : undefined
    return client.call('POST', '/api/v1/actions/calculate/runs', { arguments: { expression: `${x}+1` } }, headers)
  }
  const first = await start(0, 10)
  assert.equal(first.body.status, 'succeeded', JSON.stringify(first.body))

  await broker.stop()
  const accepted: string[] = []
  let refusal = await start(0)
  for (; refusal.status === 202; refusal = await start(accepted.length)) {
    accepted.push(refusal.body.id)
    assert.ok(accepted.length < WAITING + LATE_MS / PACE_MS, `${accepted.length} runs were taken on`)
    await pass(PACE_MS)
  }
  assert.equal(refusal.status, 503)
  assert.equal(refusal.body.error.code, 'runs_full')
  assert.ok(Number(refusal.headers.get('retry-after')) >= 1)
  assert.ok(accepted.length >= WAITING, `${accepted.length} runs were taken on`)

  const pid = replica.process.pid ?? 0
  await refuseMany(start, REFUSED / 4)
  const before = await residentKib(pid)
  await refuseMany(start, REFUSED)
  const grownKib = (await residentKib(pid)) - before
  assert.ok(grownKib < GROWTH_KIB, `${grownKib} KiB more after ${REFUSED} refusals`)
  const kept = await Promise.all(accepted.map((run) => client.call('GET', `/api/v1/runs/${run}`)))
  assert.deepEqual([...new Set(kept.map(({ body }) => body.status))], ['queued'])

  await broker.start()
  for (const run of accepted) {
    let seen = await client.call('GET', `/api/v1/runs/${run}`)
    for (; seen.body.status !== 'succeeded'; seen = await client.call('GET', `/api/v1/runs/${run}`)) {
      assert.ok(['queued', 'running'].includes(seen.body.status), JSON.stringify(seen.body))
      await pass(PACE_MS)
    }
    assert.equal(seen.body.attempts.length, 1)
  }
  // The count of what waits may be a second old.
  let again = await start(1, 10)
  for (; again.status === 503; again = await start(1, 10)) await pass(PACE_MS)
  assert.equal(again.body.status, 'succeeded')
})

async function refuseMany(start: (x: number) => Promise<{ status: number }>, count: number): Promise<void> {
  for (let done = 0; done < count; done += 20) {
    const answers = await Promise.all(Array.from({ length: 20 }, (_, x) => start(x)))
    for (const { status } of answers) assert.equal(status, 503)
  }
}

async function residentKib(pid: number): Promise<number> {
  return Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1])
}
