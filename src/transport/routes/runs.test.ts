import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { isSettled, type RunStatus } from '#actions/port.ts'
import { ParleyError } from '#errors.ts'
import { newId } from '#ids.ts'
import { type ManualClock, manualClock } from '../../../test/support/clock.ts'
import { ScriptedActions, type ScriptedRun } from '../../../test/support/scripted-actions.ts'
import { sseEvents } from '../../../test/support/sse.ts'
import { startTransport } from '../../../test/support/transport-server.ts'
import { defaultLimits } from '../limits.ts'
import type { Routes } from '../routing.ts'
import { runRoutes } from './runs.ts'

async function start(actions: ScriptedActions, clock: ManualClock = manualClock()) {
  return startTransport(
    (server, log) => runRoutes(server as unknown as Routes, { actions, clock, log, limits: defaultLimits }),
    { clock },
  )
}

const errorOf = async (response: Response) => ((await response.json()) as { error: Record<string, unknown> }).error
const streamOf = (run: string) => `/api/v1/runs/${run}/stream`

async function untilFollowed(run: ScriptedRun, times = 1): Promise<void> {
  while (run.readers !== times) await sleep(5)
}

test('a run is shown with its version as its ETag', async () => {
  const actions = new ScriptedActions()
  const run = actions.open({ version: 7, conversation: 'conv_1' })
  await using transport = await start(actions)
  const response = await fetch(`${transport.url}/api/v1/runs/${run.id}`)
  assert.equal(response.status, 200)
  assert.equal(response.headers.get('etag'), '"7"')
  assert.deepEqual(await response.json(), run.view)
})

test('what cannot be the id of a run is not found, and nobody is asked for it', async () => {
  const actions = new ScriptedActions()
  await using transport = await start(actions)
  const hex = '0'.repeat(32)
  for (const id of ['replay', 'run_', `run_${hex}0`, `run_${hex.slice(1)}`, `turn_${hex}`, `RUN_${hex}`, "run_'--"]) {
    for (const path of [`/api/v1/runs/${encodeURIComponent(id)}`, streamOf(encodeURIComponent(id))]) {
      const response = await fetch(transport.url + path)
      assert.deepEqual([response.status, (await errorOf(response)).code], [404, 'run_not_found'], path)
    }
  }
  assert.deepEqual(actions.asked, [])
  for (const path of [`/api/v1/runs/run_${hex}`, streamOf(`run_${hex}`)]) {
    assert.equal((await fetch(transport.url + path)).status, 404)
  }
  assert.equal(actions.asked.length, 2)
})

test('runs are listed, one’s own and twenty of them unless asked otherwise', async () => {
  const actions = new ScriptedActions()
  actions.listed = { items: [actions.open().view], next: 'c1' }
  await using transport = await start(actions)
  const list = (query: string) => fetch(`${transport.url}/api/v1/runs${query}`)
  assert.deepEqual(await (await list('')).json(), actions.listed)
  await list('?whose=tenant&status=dead-lettered&action=create_ticket&limit=100&cursor=run_1')
  await list('?whose=to-approve&limit=1')
  assert.deepEqual(
    actions.asked.map(([, page]) => page),
    [
      { whose: 'mine', limit: 20 },
      { whose: 'tenant', status: 'dead-lettered', action: 'create_ticket', limit: 100, cursor: 'run_1' },
      { whose: 'to-approve', limit: 1 },
    ],
  )
})

test('queries that are wrong are named', async () => {
  const actions = new ScriptedActions()
  await using transport = await start(actions)
  const cases: [query: string, param: string][] = [
    ['whose=yours', 'whose'],
    ['status=done', 'status'],
    ['action=1st', 'action'],
    [`action=${'a'.repeat(65)}`, 'action'],
    ['limit=0', 'limit'],
    ['limit=101', 'limit'],
    ['limit=x', 'limit'],
    ['cursor=', 'cursor'],
    ['cursor=%00', 'cursor'],
    [`cursor=${'c'.repeat(501)}`, 'cursor'],
    ['owner=me', 'owner'],
  ]
  for (const [query, param] of cases) {
    const response = await fetch(`${transport.url}/api/v1/runs?${query}`)
    assert.deepEqual([response.status, (await errorOf(response)).param], [400, param], query)
  }
  assert.deepEqual(actions.asked, [])
  assert.equal((await fetch(`${transport.url}/api/v1/runs?cursor=${'c'.repeat(500)}`)).status, 200)
  actions.refusal = new ParleyError('forbidden')
  assert.equal((await fetch(`${transport.url}/api/v1/runs?whose=tenant`)).status, 403)
})

test('a stream tells the run now and at each change, and ends once it is settled', async () => {
  const actions = new ScriptedActions()
  const run = actions.open()
  await using transport = await start(actions)
  const response = await fetch(transport.url + streamOf(run.id))
  assert.equal(response.status, 200)
  assert.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8')
  const views = [run.view]
  const events = []
  for await (const event of sseEvents(response.body)) {
    events.push(event)
    if (events.length === 1) run.change({ status: 'running' })
    else if (events.length === 2) run.settle({ status: 'succeeded', result: 'grüße\n\n👋' })
    if (events.length < 3) views.push(run.view)
  }
  assert.deepEqual(
    events,
    views.map((view) => ({ id: `${run.id}.${view.version}`, type: 'run', data: view })),
  )
  assert.equal(run.readers, 0)
})

test('every settled status ends a stream, and no other', async () => {
  const ended: RunStatus[] = ['succeeded', 'failed', 'rejected', 'cancelled', 'expired']
  ended.push('dead-lettered', 'discarded', 'unknown')
  const actions = new ScriptedActions()
  await using transport = await start(actions)
  for (const status of ended) {
    assert.ok(isSettled({ status }))
    const run = actions.open({ status })
    const text = await (await fetch(transport.url + streamOf(run.id))).text()
    assert.equal(
      text.replace(/^retry: \d+\n\n/, ''),
      `id: ${run.id}.1\nevent: run\ndata: ${JSON.stringify(run.view)}\n\n`,
    )
  }
})

test('a reconnect gets what is newer than its last event, and nothing after the last one', async () => {
  const actions = new ScriptedActions()
  const run = actions.open({ version: 3 })
  await using transport = await start(actions)
  const ask = (lastEventId: string) =>
    fetch(transport.url + streamOf(run.id), { headers: { 'last-event-id': lastEventId } })
  const idsOf = async (response: Response) =>
    [...(await response.text()).matchAll(/^id: .*\.(\d+)$/gm)].map(([, version]) => Number(version))
  const [all, some, rest] = await Promise.all([ask(''), ask(`${run.id}.2`), ask(`${run.id}.3`)])
  await untilFollowed(run, 3)
  run.settle({ status: 'succeeded' })
  assert.deepEqual([await idsOf(all), await idsOf(some), await idsOf(rest)], [[3, 4], [3, 4], [4]])
  const over = await ask(`${run.id}.4`)
  assert.deepEqual([over.status, await over.text()], [204, ''])
  for (const id of [`${run.id}.5`, `${newId('run')}.1`, `turn_${'0'.repeat(32)}.1`, 'nonsense', `${run.id}.`]) {
    const response = await ask(id)
    const { code, param } = await errorOf(response)
    assert.deepEqual([response.status, code, param], [400, 'bad_position', 'last-event-id'], id)
  }
})

test('a dead-lettered run that is replayed goes on in the stream of a reader who comes back', async () => {
  const actions = new ScriptedActions()
  const run = actions.open({ status: 'dead-lettered' })
  await using transport = await start(actions)
  await actions.replay(undefined, run.id)
  const headers = { 'last-event-id': `${run.id}.1` }
  const response = await fetch(transport.url + streamOf(run.id), { headers })
  await untilFollowed(run)
  run.settle({ status: 'succeeded' })
  assert.match(await response.text(), /"status":"queued".*"status":"succeeded"/s)
})

test('a silent stream gets comments', async () => {
  const actions = new ScriptedActions()
  const run = actions.open({ status: 'awaiting-approval' })
  const clock = manualClock()
  await using transport = await start(actions, clock)
  const before = clock.pending
  const response = await fetch(transport.url + streamOf(run.id))
  await untilFollowed(run)
  while (clock.pending === before) await sleep(5)
  clock.advance(15_000)
  run.settle({ status: 'expired' })
  const text = await response.text()
  assert.ok(text.indexOf(': keep-alive\n\n') > 0, text)
  assert.match(text, /"status":"expired"/)
})

test('a reader that leaves is no longer followed for, and the run goes on', async () => {
  for (const rejects of [false, true]) {
    const actions = new ScriptedActions()
    const run = actions.open()
    run.rejectsWhenAborted = rejects
    await using transport = await start(actions)
    const leave = new AbortController()
    const reading = fetch(transport.url + streamOf(run.id), { signal: leave.signal }).then((answer) => answer.text())
    await untilFollowed(run)
    leave.abort()
    await assert.rejects(reading, { name: 'AbortError' })
    await untilFollowed(run, 0)
    assert.equal(run.view.status, 'queued')
    assert.deepEqual(transport.logged, [])
  }
})

test('a server that closes says so and ends the stream', async () => {
  const actions = new ScriptedActions()
  const run = actions.open()
  const transport = await start(actions)
  const response = await fetch(transport.url + streamOf(run.id))
  await untilFollowed(run)
  await transport[Symbol.asyncDispose]()
  assert.match(await response.text(), /event: notice\ndata: \{"code":"shutting_down","message":"[^"]+"\}\n\n$/)
})

test('a fault while a run is followed ends the stream with a notice; a bug is logged without being told', async () => {
  for (const [fault, code, logged] of [
    [new ParleyError('database_unavailable'), 'database_unavailable', 0],
    [new Error('private detail'), 'internal', 1],
  ] as const) {
    const actions = new ScriptedActions()
    const run = actions.open().fail(fault)
    await using transport = await start(actions)
    const text = await (await fetch(transport.url + streamOf(run.id))).text()
    assert.match(text, new RegExp(`event: notice\ndata: {"code":"${code}","message":"[^"]+"}\n\n$`))
    assert.doesNotMatch(text, /private/)
    assert.equal(transport.logged.length, logged)
  }
})

test('a stream endpoint answers whole where no event stream is accepted: once settled, or after a minute', async () => {
  const actions = new ScriptedActions()
  const [settled, waiting] = [actions.open(), actions.open()]
  const clock = manualClock()
  await using transport = await start(actions, clock)
  const ask = (run: ScriptedRun) => fetch(transport.url + streamOf(run.id), { headers: { accept: 'application/json' } })
  const answers = [ask(settled), ask(waiting)] as const
  await Promise.all([untilFollowed(settled), untilFollowed(waiting)])
  settled.settle({ status: 'succeeded' })
  assert.deepEqual(await (await answers[0]).json(), settled.view)
  waiting.change({ status: 'running' })
  clock.advance(59_999)
  assert.equal(await Promise.race([answers[1], sleep(50, 'waits')]), 'waits')
  clock.advance(1)
  const response = await answers[1]
  assert.deepEqual([response.status, response.headers.get('etag')], [200, '"2"'])
  assert.deepEqual(await response.json(), waiting.view)
})

test('what accepts neither events nor JSON is refused', async () => {
  const actions = new ScriptedActions()
  const run = actions.open()
  await using transport = await start(actions)
  const response = await fetch(transport.url + streamOf(run.id), { headers: { accept: 'text/html' } })
  assert.deepEqual([response.status, (await errorOf(response)).code], [406, 'not_acceptable'])
})

test('HEAD on a stream has its headers and follows nothing', async () => {
  const actions = new ScriptedActions()
  const run = actions.open()
  await using transport = await start(actions)
  const response = await fetch(transport.url + streamOf(run.id), { method: 'HEAD' })
  assert.equal(response.status, 200)
  assert.match(String(response.headers.get('content-type')), /^text\/event-stream/)
  assert.equal(run.readers, 0)
})
