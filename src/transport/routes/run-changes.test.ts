import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ErrorCode, ParleyError } from '#errors.ts'
import { ScriptedActions } from '../../../test/support/scripted-actions.ts'
import { startTransport } from '../../../test/support/transport-server.ts'
import { defaultLimits } from '../limits.ts'
import type { Routes } from '../routing.ts'
import { runDecisionRoutes } from './run-decisions.ts'
import { runRepairRoutes } from './run-repairs.ts'

const hash = 'a'.repeat(64)

async function start(actions: ScriptedActions) {
  const transport = await startTransport((server) => {
    const routes = server as unknown as Routes
    runDecisionRoutes(routes, { actions, limits: defaultLimits })
    runRepairRoutes(routes, actions)
  })
  async function post(path: string, body?: unknown) {
    const response = await fetch(`${transport.url}/api/v1/runs/${path}`, {
      method: 'POST',
      ...(body !== undefined && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    })
    const answer = (await response.json()) as Record<string, unknown> & { error?: Record<string, unknown> }
    return { status: response.status, etag: response.headers.get('etag'), answer, error: answer.error }
  }
  return { ...transport, post }
}

test('each change is handed on as it was asked for, and answered with the run', async () => {
  const cases: [verb: string, body: object | undefined, asked: unknown, status: string][] = [
    ['approve', { hash }, { hash }, 'queued'],
    ['approve', { hash, edited: { title: 'Ü' } }, { hash, edited: { title: 'Ü' } }, 'queued'],
    ['reject', { reason: 'Not now.' }, 'Not now.', 'rejected'],
    ['cancel', undefined, undefined, 'cancelled'],
    ['replay', undefined, undefined, 'queued'],
    ['discard', { reason: 'Nobody\nneeds it.' }, 'Nobody\nneeds it.', 'discarded'],
    ['settle', { status: 'succeeded', note: 'Seen.' }, { status: 'succeeded', note: 'Seen.' }, 'succeeded'],
    ['settle', { status: 'failed', note: 'Gone.' }, { status: 'failed', note: 'Gone.' }, 'failed'],
  ]
  for (const [verb, body, asked, status] of cases) {
    const actions = new ScriptedActions()
    const run = actions.open()
    await using transport = await start(actions)
    const response = await transport.post(`${run.id}/${verb}`, body)
    assert.deepEqual([response.status, response.etag], [200, '"2"'], verb)
    assert.deepEqual(response.answer, run.view)
    assert.equal(run.view.status, status)
    assert.deepEqual(actions.asked, [[verb, run.id, ...(asked === undefined ? [] : [asked])]])
  }
})

test('dead letters are replayed by the dozen', async () => {
  const actions = new ScriptedActions()
  await using transport = await start(actions)
  const filter = { action: 'create_ticket', reason: 'MaxDeliveryCountExceeded', limit: 1000 }
  for (const body of [{ limit: 1 }, filter]) {
    assert.deepEqual((await transport.post('replay', body)).answer, { replayed: 3, more: false })
  }
  assert.deepEqual(actions.asked, [
    ['replayAll', { limit: 1 }],
    ['replayAll', filter],
  ])
})

test('bodies that are wrong are named, and nothing is changed', async () => {
  const actions = new ScriptedActions()
  const { id } = actions.open()
  await using transport = await start(actions)
  const cases: [path: string, body: unknown, param: string | null][] = [
    [`${id}/approve`, {}, 'hash'],
    [`${id}/approve`, undefined, null],
    [`${id}/approve`, { hash: 'a'.repeat(63) }, 'hash'],
    [`${id}/approve`, { hash: 'a'.repeat(65) }, 'hash'],
    [`${id}/approve`, { hash: 'A'.repeat(64) }, 'hash'],
    [`${id}/approve`, { hash, edited: [] }, 'edited'],
    [`${id}/approve`, { hash, edited: JSON.parse(`${'{"a":'.repeat(65)}1${'}'.repeat(65)}`) }, 'edited'],
    [`${id}/approve`, { hash, note: 'x' }, 'note'],
    [`${id}/reject`, {}, 'reason'],
    [`${id}/reject`, { reason: '' }, 'reason'],
    [`${id}/reject`, { reason: ' \n' }, 'reason'],
    [`${id}/reject`, { reason: 'a\u0000b' }, 'reason'],
    [`${id}/reject`, { reason: 'half \ud83d' }, 'reason'],
    [`${id}/reject`, { reason: 'x'.repeat(501) }, 'reason'],
    [`${id}/reject`, { reason: 7 }, 'reason'],
    [`${id}/discard`, { reason: ' ' }, 'reason'],
    [`${id}/discard`, { reason: '👋'.repeat(501) }, 'reason'],
    [`${id}/settle`, { status: 'unknown', note: 'x' }, 'status'],
    [`${id}/settle`, { status: 'failed' }, 'note'],
    [`${id}/settle`, { status: 'failed', note: '\t' }, 'note'],
    [`${id}/settle`, { status: 'failed', note: 'x'.repeat(501) }, 'note'],
    ['replay', {}, 'limit'],
    ['replay', { limit: 0 }, 'limit'],
    ['replay', { limit: 1001 }, 'limit'],
    ['replay', { limit: 1.5 }, 'limit'],
    ['replay', { limit: 1, action: 'a b' }, 'action'],
    ['replay', { limit: 1, reason: '' }, 'reason'],
    ['replay', { limit: 1, reason: 'r'.repeat(101) }, 'reason'],
    ['replay', { limit: 1, status: 'failed' }, 'status'],
  ]
  for (const [path, body, param] of cases) {
    const { status, error } = await transport.post(path, body)
    assert.deepEqual([status, error?.code, error?.param], [400, 'invalid_request', param], JSON.stringify([path, body]))
  }
  assert.deepEqual(actions.asked, [])
})

test('reasons are taken up to 500 characters, edits up to 64 levels and 256 KiB of body', async () => {
  const actions = new ScriptedActions()
  const { id } = actions.open()
  await using transport = await start(actions)
  assert.equal((await transport.post(`${id}/reject`, { reason: '👋'.repeat(500) })).status, 200)
  assert.equal((await transport.post(`${id}/settle`, { status: 'failed', note: 'x'.repeat(500) })).status, 200)
  const edited = JSON.parse(`${'{"a":'.repeat(64)}1${'}'.repeat(64)}`)
  assert.equal((await transport.post(`${id}/approve`, { hash, edited })).status, 200)
  const frame = JSON.stringify({ hash, edited: { text: '' } }).length
  const ofSize = (bytes: number) => ({ hash, edited: { text: 'x'.repeat(bytes - frame) } })
  assert.equal((await transport.post(`${id}/approve`, ofSize(262_144))).status, 200)
  const tooLarge = await transport.post(`${id}/approve`, ofSize(262_145))
  assert.deepEqual([tooLarge.status, tooLarge.error?.code], [413, 'body_too_large'])
})

test('what cannot be the id of a run is not found, and nobody is asked for it', async () => {
  const actions = new ScriptedActions()
  await using transport = await start(actions)
  const bodies = {
    approve: { hash },
    reject: { reason: 'x' },
    cancel: undefined,
    replay: undefined,
    discard: { reason: 'x' },
    settle: { status: 'failed', note: 'x' },
  }
  for (const [verb, body] of Object.entries(bodies)) {
    for (const id of ['run_1', `run_${'g'.repeat(32)}`, `turn_${'0'.repeat(32)}`]) {
      const { status, error } = await transport.post(`${id}/${verb}`, body)
      assert.deepEqual([status, error?.code], [404, 'run_not_found'], `${verb} ${id}`)
    }
    assert.deepEqual(actions.asked, [])
  }
  for (const [verb, body] of Object.entries(bodies)) {
    assert.equal((await transport.post(`run_${'0'.repeat(32)}/${verb}`, body)).status, 404)
  }
  assert.equal(actions.asked.length, 6)
})

test('what the actions refuse arrives with its status', async () => {
  const cases: [code: ErrorCode, status: number][] = [
    ['run_not_found', 404],
    ['forbidden', 403],
    ['run_state', 409],
    ['approval_changed', 412],
    ['arguments_invalid', 422],
    ['database_unavailable', 503],
  ]
  const actions = new ScriptedActions()
  const { id } = actions.open()
  await using transport = await start(actions)
  for (const [code, status] of cases) {
    actions.refusal = new ParleyError(code)
    const refused = await transport.post(`${id}/approve`, { hash })
    assert.deepEqual([refused.status, refused.error?.code], [status, code])
  }
  actions.refusal = new Error('private detail')
  const { status, error } = await transport.post(`${id}/cancel`)
  assert.deepEqual([status, error?.code], [500, 'internal'])
  assert.doesNotMatch(JSON.stringify(error), /private/)
})

test('nothing is done by GET', async () => {
  const actions = new ScriptedActions()
  const { id } = actions.open()
  await using transport = await start(actions)
  const response = await fetch(`${transport.url}/api/v1/runs/${id}/cancel`)
  assert.deepEqual([response.status, response.headers.get('allow')], [405, 'POST'])
})
