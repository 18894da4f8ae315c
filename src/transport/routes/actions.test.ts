import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RunView } from '#actions/actions.ts'
import type { ConfigVersion } from '#config/document.ts'
import { type ErrorCode, ParleyError } from '#errors.ts'
import { chatConfig } from '../../../test/support/chat-config.ts'
import { manualClock } from '../../../test/support/clock.ts'
import { ScriptedActions, type ScriptedRun } from '../../../test/support/scripted-actions.ts'
import { startTransport } from '../../../test/support/transport-server.ts'
import { defaultLimits } from '../limits.ts'
import type { Routes } from '../routing.ts'
import { actionRoutes } from './actions.ts'

const config: ConfigVersion = { name: 'v001', hash: '0', document: chatConfig({}) }
const path = '/api/v1/actions/calculate/runs'

async function start(actions: ScriptedActions, clock = manualClock(Date.now())) {
  const transport = await startTransport((server, log) =>
    actionRoutes(server as unknown as Routes, {
      actions,
      clock,
      log,
      limits: defaultLimits,
      serving: { stable: () => config },
    }),
  )
  return { ...transport, clock }
}

const run = (body: unknown, headers: Record<string, string> = {}): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json', ...headers },
  body: JSON.stringify(body),
})

const given = { arguments: { expression: '6*7' } }
const runOf = async (response: Response) => (await response.json()) as RunView
const errorOf = async (response: Response) => ((await response.json()) as { error: Record<string, unknown> }).error

/** The only run that a request has started. */
async function started(begun: readonly ScriptedRun[]): Promise<ScriptedRun> {
  for (; ; await sleep(5)) if (begun[0]) return begun[0]
}

test('lists the actions of the version that the caller is served with', async () => {
  await using transport = await start(new ScriptedActions())
  const response = await fetch(`${transport.url}/api/v1/actions`)
  assert.equal(response.status, 200)
  const { items } = (await response.json()) as { items: { name: string }[] }
  assert.deepEqual(
    items.map(({ name }) => name),
    ['current_time', 'calculate'],
  )
})

test('an action is taken on at once, and the answer says where to look', async () => {
  const actions = new ScriptedActions()
  await using transport = await start(actions)
  const traceparent = '00-0123456789abcdef0123456789abcdef-0123456789abcdef-01'
  const response = await fetch(transport.url + path, run(given, { 'idempotency-key': 'k 1', traceparent }))
  const view = await runOf(response)
  assert.equal(response.status, 202)
  assert.equal(response.headers.get('location'), `/api/v1/runs/${view.id}`)
  assert.equal(response.headers.get('etag'), '"1"')
  assert.equal(response.headers.get('preference-applied'), null)
  assert.equal(view.status, 'queued')
  const request = { action: 'calculate', ...given, key: 'k 1', traceparent }
  assert.deepEqual(actions.asked, [['start', request]])
})

test('a run that is settled already is answered with 200', async () => {
  const actions = new ScriptedActions((begun) => begun.settle({ status: 'succeeded', result: { result: 42 } }))
  await using transport = await start(actions)
  const response = await fetch(transport.url + path, run(given))
  assert.equal(response.status, 200)
  assert.deepEqual((await runOf(response)).result, { result: 42 })
})

test('prefer: wait gives the settled run', async () => {
  const begun: ScriptedRun[] = []
  const actions = new ScriptedActions((one) => begun.push(one))
  await using transport = await start(actions)
  const asked = fetch(transport.url + path, run(given, { prefer: 'wait=5' }))
  const one = await started(begun)
  while (one.readers === 0) await sleep(5)
  one.change({ status: 'running' }).settle({ status: 'failed', reason: 'timeout' })
  const response = await asked
  assert.equal(response.status, 200)
  assert.equal(response.headers.get('preference-applied'), 'wait=5')
  assert.equal(response.headers.get('etag'), '"3"')
  const view = await runOf(response)
  assert.deepEqual([view.status, view.reason], ['failed', 'timeout'])
  assert.deepEqual([one.readers, transport.clock.pending], [0, 0])
})

test('a run that is not settled within the wait is answered as it stands, however following it ends', async () => {
  for (const rejects of [false, true]) {
    const begun: ScriptedRun[] = []
    const actions = new ScriptedActions((one) => {
      one.rejectsWhenAborted = rejects
      begun.push(one)
    })
    await using transport = await start(actions)
    const asked = fetch(transport.url + path, run(given, { prefer: 'wait=61' }))
    const one = await started(begun)
    while (one.readers === 0) await sleep(5)
    one.change({ status: 'running' })
    transport.clock.advance(59_999)
    assert.equal(await Promise.race([asked, sleep(50, 'waits')]), 'waits')
    transport.clock.advance(1)
    const response = await asked
    assert.equal(response.status, 202)
    assert.equal(response.headers.get('preference-applied'), 'wait=60')
    assert.equal((await runOf(response)).status, 'running')
    assert.equal(one.readers, 0)
  }
})

test('a caller that leaves while it waits leaves the run alone', async () => {
  const begun: ScriptedRun[] = []
  await using transport = await start(new ScriptedActions((one) => begun.push(one)))
  const leave = new AbortController()
  const asked = fetch(transport.url + path, { ...run(given, { prefer: 'wait=5' }), signal: leave.signal })
  const one = await started(begun)
  while (one.readers === 0) await sleep(5)
  leave.abort()
  await assert.rejects(asked, { name: 'AbortError' })
  while (one.readers > 0) await sleep(5)
  assert.equal(one.view.status, 'queued')
})

test('a server that closes answers who waits with the run as it stands', async () => {
  const begun: ScriptedRun[] = []
  const transport = await start(new ScriptedActions((one) => begun.push(one)))
  const asked = fetch(transport.url + path, run(given, { prefer: 'wait=60' }))
  const one = await started(begun)
  while (one.readers === 0) await sleep(5)
  await transport[Symbol.asyncDispose]()
  const response = await asked
  assert.equal(response.status, 202)
  assert.equal((await runOf(response)).id, one.id)
})

test('a run that was taken on is told of, also when it cannot be followed; a bug is logged', async () => {
  for (const [fault, logged] of [
    [new ParleyError('database_unavailable'), 0],
    [new Error('private detail'), 1],
  ] as const) {
    await using transport = await start(new ScriptedActions((one) => one.fail(fault)))
    const response = await fetch(transport.url + path, run(given, { prefer: 'wait=5' }))
    assert.equal(response.status, 202)
    assert.doesNotMatch(await response.text(), /private/)
    assert.equal(transport.logged.length, logged)
  }
})

test('the same Idempotency-Key gives the same run, with 200', async () => {
  const actions = new ScriptedActions()
  const clock = manualClock(Date.now() - 1000)
  await using transport = await start(actions, clock)
  const ask = () => fetch(transport.url + path, run(given, { 'idempotency-key': 'key' }))
  const first = await ask()
  clock.advance(60_000)
  const second = await ask()
  assert.deepEqual([first.status, second.status], [202, 200])
  const { id } = await runOf(first)
  assert.equal((await runOf(second)).id, id)
  assert.equal(second.headers.get('location'), `/api/v1/runs/${id}`)
})

test('an Idempotency-Key has 1 to 255 printable characters', async () => {
  const actions = new ScriptedActions()
  await using transport = await start(actions)
  for (const key of ['', 'ü', 'x'.repeat(256)]) {
    const response = await fetch(transport.url + path, run(given, { 'idempotency-key': key }))
    assert.equal(response.status, 400)
    assert.equal((await errorOf(response)).param, 'idempotency-key')
  }
  assert.deepEqual(actions.asked, [])
  for (const key of ['x', '~'.repeat(255)]) {
    assert.equal((await fetch(transport.url + path, run(given, { 'idempotency-key': key }))).status, 202)
  }
})

test('what the actions refuse arrives with its status', async () => {
  const cases: [code: ErrorCode, status: number][] = [
    ['action_not_found', 404],
    ['arguments_invalid', 422],
    ['idempotency_mismatch', 422],
    ['forbidden', 403],
    ['runs_full', 503],
    ['database_unavailable', 503],
  ]
  const actions = new ScriptedActions()
  await using transport = await start(actions)
  for (const [code, status] of cases) {
    actions.refusal = new ParleyError(code, { retryAfterMs: 1500 })
    const response = await fetch(transport.url + path, run(given))
    assert.equal(response.status, status)
    assert.equal(response.headers.get('retry-after'), '2')
    assert.equal((await errorOf(response)).code, code)
  }
})

test('bodies that are wrong are refused before anything is taken on', async () => {
  const actions = new ScriptedActions()
  await using transport = await start(actions)
  const cases: [body: unknown, param: string | null][] = [
    [{}, 'arguments'],
    [{ arguments: '{}' }, 'arguments'],
    [{ arguments: [] }, 'arguments'],
    [{ arguments: null }, 'arguments'],
    [{ ...given, config: 'v1' }, 'config'],
    [[], null],
  ]
  for (const [body, param] of cases) {
    const response = await fetch(transport.url + path, run(body))
    const error = await errorOf(response)
    assert.deepEqual([response.status, error.code, error.param], [400, 'invalid_request', param], JSON.stringify(body))
  }
  const asText = await fetch(transport.url + path, { method: 'POST', body: '{}' })
  assert.equal(asText.status, 415)
  for (const key of ['__proto__', 'constructor']) {
    const body = `{"arguments":{"${key}":{"prototype":{"polluted":true}}}}`
    const response = await fetch(transport.url + path, { ...run(given), body })
    assert.equal(response.status, 400, key)
  }
  assert.deepEqual(actions.asked, [])
})

test('arguments are taken up to 256 KiB of body and 64 levels, and no further', async () => {
  const actions = new ScriptedActions()
  await using transport = await start(actions)
  const frame = JSON.stringify({ arguments: { text: '' } }).length
  const ofSize = (bytes: number) => run({ arguments: { text: 'x'.repeat(bytes - frame) } })
  assert.equal((await fetch(transport.url + path, ofSize(262_144))).status, 202)
  const tooLarge = await fetch(transport.url + path, ofSize(262_145))
  assert.deepEqual([tooLarge.status, (await errorOf(tooLarge)).code], [413, 'body_too_large'])
  const ofDepth = (levels: number) => ({
    ...run(given),
    body: `{"arguments":${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}}`,
  })
  assert.equal((await fetch(transport.url + path, ofDepth(64))).status, 202)
  for (const [levels, param] of [
    [65, 'arguments'],
    // No body at all is nested so deep.
    [40_000, null],
  ] as const) {
    const response = await fetch(transport.url + path, ofDepth(levels))
    assert.deepEqual([response.status, (await errorOf(response)).param], [400, param])
  }
  assert.equal(actions.asked.length, 2)
})
