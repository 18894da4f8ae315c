import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import type { RunView } from '#actions/actions.ts'
import { turnLimits } from '../../src/chat/limits.ts'
import { type Clock, systemClock } from '../../src/platform/clock.ts'
import { startApp } from '../support/app.ts'
import { collect, nativeClient, textOf } from '../support/native-client.ts'
import { layPgliteTemplate } from '../support/pglite-template.ts'
import { startReplica } from '../support/replica.ts'
import type { SseEvent } from '../support/sse.ts'

type Client = ReturnType<typeof nativeClient>
interface RunEvent {
  id: string
  status: string
  output?: string
  approval?: { hash: string }
}

function runsIn(events: readonly SseEvent[]): RunEvent[] {
  return events.filter(({ type }) => type === 'run').map(({ data }) => data as RunEvent)
}

async function ask(client: Client, conversation: string, message: string): Promise<SseEvent[]> {
  return collect((await client.stream(conversation, message)).events)
}

/** The run once it is settled. */
async function settled({ call }: Client, id: string): Promise<RunView> {
  const { status, body } = await call('GET', `/api/v1/runs/${id}/stream`, undefined, { accept: 'application/json' })
  assert.equal(status, 200, JSON.stringify(body))
  return body
}

/** Runs an action without a chat, to its end. */
async function run({ call }: Client, action: string, args: object, key?: string): Promise<RunView> {
  const headers = { prefer: 'wait=30', ...(key !== undefined && { 'idempotency-key': key }) }
  const { status, body } = await call('POST', `/api/v1/actions/${action}/runs`, { arguments: args }, headers)
  assert.equal(status, 200, JSON.stringify(body))
  return body
}

async function titles(client: Client, status: 'open' | 'closed'): Promise<string[]> {
  const { result } = await run(client, 'list_tickets', { status })
  return (result as { tickets: { title: string }[] }).tickets.map(({ title }) => title).sort()
}

async function eventually<Value>(read: () => Promise<Value | undefined>): Promise<Value> {
  for (let tries = 0; tries < 1200; tries++) {
    const value = await read()
    if (value !== undefined) return value
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error('It never came.')
}

test('a chat opens tickets, waits for approval, retries, and pages whom it could not page before', async () => {
  // How long a turn waits for its actions, as the test has it.
  let waitMs: number = turnLimits.actionWaitMs
  const clock: Clock = {
    ...systemClock,
    after: (delayMs, task) => systemClock.after(delayMs === turnLimits.actionWaitMs ? waitMs : delayMs, task),
  }
  await using app = await startApp({ overrides: { clock } })
  const client = nativeClient(app.url)
  const { call } = client
  const conversation = await client.conversation('hermes')

  const opened = await ask(client, conversation, 'open a ticket: printer on fire')
  const ticket = { ticket: 1, title: 'printer on fire', priority: 'low', status: 'open' }
  assert.deepEqual(JSON.parse(runsIn(opened).at(-1)?.output ?? ''), ticket)
  assert.match(textOf(opened), /ticket 1, title printer on fire/)

  // Held, approved with another title, and reported by the very turn.
  const { events } = await client.stream(conversation, 'open a high priority ticket: database is down')
  const held: SseEvent[] = []
  for await (const event of events) {
    held.push(event)
    const [pending] = runsIn([event])
    if (pending?.status !== 'awaiting-approval') continue
    assert.deepEqual(await titles(client, 'open'), ['printer on fire'])
    const hash = pending.approval?.hash ?? ''
    const approve = (body: object) => call('POST', `/api/v1/runs/${pending.id}/approve`, body)
    assert.equal((await approve({ hash: hash.replace(/^./, (c) => (c === '0' ? '1' : '0')) })).status, 412)
    assert.equal((await approve({ hash, edited: { priority: 'low' } })).status, 422)
    const { status, body } = await approve({ hash, edited: { title: 'Database of Bern is down' } })
    assert.deepEqual([status, body.revision, body.approval.decision], [200, 2, 'approved'])
  }
  assert.match(textOf(held), /ticket 2, title Database of Bern is down, priority high/)
  assert.equal(held.at(-1)?.type, 'turn.completed')

  // Not approved in time for its turn: what came of it is reported in a turn of its own.
  waitMs = 100
  const late = await ask(client, conversation, 'open a high priority ticket: mail is slow')
  assert.match(textOf(late), /not been done yet: it waits for approval/)
  const [pending] = runsIn(late)
  await call('POST', `/api/v1/runs/${pending?.id}/approve`, { hash: pending?.approval?.hash })
  const report = await eventually(async () => {
    const { body } = await call('GET', `/api/v1/conversations/${conversation}/messages?limit=100`)
    const last = body.items.at(-1)
    return body.items.some(({ kind }: { kind?: string }) => kind === 'follow-up') && last.role === 'assistant'
      ? last.content
      : undefined
  })
  assert.match(report, /^About what you asked for earlier: create_ticket gives ticket 3, title mail is slow/)
  waitMs = turnLimits.actionWaitMs

  const restarted = await ask(client, conversation, 'restart the billing service')
  assert.ok(runsIn(restarted).some(({ status }) => status === 'retrying'))
  assert.match(textOf(restarted), /service billing, status running/)
  const { attempts } = await settled(client, runsIn(restarted)[0]?.id ?? '')
  assert.deepEqual(
    attempts.map(({ outcome, reason }) => [outcome, reason]),
    [
      ['passing', 'service_busy'],
      ['passing', 'service_busy'],
      ['succeeded', null],
    ],
  )

  // A dead letter, replayed once what kept it from succeeding is gone.
  await ask(client, conversation, 'open a ticket: maintenance')
  const unpaged = await ask(client, conversation, 'page the on-call: it is down')
  const dead = await settled(client, runsIn(unpaged)[0]?.id ?? '')
  assert.deepEqual([dead.status, dead.reason, dead.attempts.length], ['dead-lettered', 'maintenance', 3])
  assert.match(textOf(unpaged), /Nobody is paged while a ticket "maintenance" is open/)
  await ask(client, conversation, 'close ticket 4')
  assert.deepEqual(await titles(client, 'closed'), ['maintenance'])
  assert.equal((await call('POST', `/api/v1/runs/${dead.id}/replay`)).status, 200)
  const replayed = await settled(client, dead.id)
  assert.deepEqual(replayed.result, { paged: 'the on-call engineer', message: 'it is down' })
  assert.deepEqual([replayed.status, replayed.attempts.length], ['succeeded', 4])
})

test('killed in the middle of runs and started again, each ticket is there, and once', async (t) => {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'service-desk-'))
  t.after(() => rm(dataDir, { recursive: true, force: true }))
  const variables = { PARLEY_DATA_DIR: dataDir, PARLEY_RUN_LEASE_MS: '5000', PARLEY_TURN_LEASE_MS: '5000' }
  const wanted: string[] = []
  let turn: string
  let restarting: string
  await layPgliteTemplate(dataDir)
  {
    await using doomed = await startReplica(variables)
    const client = nativeClient(doomed.url)
    await run(client, 'create_ticket', { title: 'before' })
    const begun = await client.call('POST', '/api/v1/actions/restart_service/runs', { arguments: { service: 'mail' } })
    restarting = begun.body.id
    const said = await client.stream(await client.conversation('hermes'), 'open a ticket: from the chat')
    turn = said.turn
    const answered = Promise.withResolvers<void>()
    const askOn = async () => {
      for (;;) {
        const title = `ticket ${wanted.length}`
        wanted.push(title)
        await run(client, 'create_ticket', { title }, title)
        answered.resolve()
      }
    }
    // Whenever it is killed, others are anywhere between their row and their answer.
    const asking = Promise.allSettled(Array.from({ length: 12 }, askOn))
    await Promise.race([answered.promise, asking])
    await doomed.kill()
    await asking
    await said.events.return(undefined).catch(() => {})
  }

  await using successor = await startReplica(variables)
  const client = nativeClient(successor.url)
  const resumed = await collect(await client.resume(turn))
  assert.equal(resumed.at(-1)?.type, 'turn.completed')
  const runs = await Promise.all(wanted.map((title) => run(client, 'create_ticket', { title }, title)))
  assert.deepEqual([...new Set(runs.map(({ status }) => status))], ['succeeded'])
  assert.deepEqual(await titles(client, 'open'), ['before', 'from the chat', ...wanted].sort())
  const restarted = await settled(client, restarting)
  assert.deepEqual(restarted.result, { service: 'mail', status: 'running' })
  assert.equal(restarted.attempts.at(-1)?.outcome, 'succeeded')
})
