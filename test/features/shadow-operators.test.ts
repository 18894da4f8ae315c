import assert from 'node:assert/strict'
import { test } from 'node:test'
import { shadowAtHand } from '../support/shadow-at-hand.ts'

const path = '/api/v1/config/shadow'
const asked = { version: 'v2', share: 50, budgetUsd: 1, turns: 5 }

test('what is asked for is checked before anything begins', async () => {
  await using ground = await shadowAtHand({ variables: { PARLEY_SHADOW_USD: '3', PARLEY_SHADOW_TURNS: '20' } })
  const { etag, limits, live, comparison } = await ground.view()
  assert.deepEqual([limits, live, comparison], [{ budgetUsd: 3, turns: 20 }, null, null])
  const start = (more: object, headers: Record<string, string> = { 'if-match': `"${etag}"` }) =>
    ground.client.call('POST', `${path}/start`, { ...asked, ...more }, headers)
  const refused = [
    [{ version: 'v9' }, 404, 'config_not_found'],
    [{ version: 'v1' }, 409, 'rollout_state'],
    [{ budgetUsd: 3.01 }, 400, 'invalid_request'],
    [{ turns: 21 }, 400, 'invalid_request'],
    [{ turns: 0 }, 400, 'invalid_request'],
    [{ turns: 1.5 }, 400, 'invalid_request'],
    [{ share: 0 }, 400, 'invalid_request'],
    [{ share: 100.5 }, 400, 'invalid_request'],
    [{ budgetUsd: 0 }, 400, 'invalid_request'],
  ] as const
  for (const [more, status, code] of refused) {
    const { status: given, body } = await start(more)
    assert.deepEqual([given, body.error.code], [status, code], JSON.stringify(more))
  }
  assert.equal((await start({}, {})).status, 428)
  assert.equal((await start({ budgetUsd: 3, turns: 20, share: 100 })).status, 200, 'the most that is permitted')
})

test('one is tried at a time, and who decides on what has changed is shown how it stands', async () => {
  await using ground = await shadowAtHand()
  const { etag: before } = await ground.view()
  const live = await ground.start()
  const call = (what: string, etag: string, body?: object) =>
    ground.client.call('POST', `${path}/${what}`, body, { 'if-match': `"${etag}"` })
  const late = await call('start', before, asked)
  assert.deepEqual(
    [late.status, late.body.error.code, late.body.shadow.live.id],
    [412, 'version_conflict', live.live?.id],
  )
  assert.equal(late.headers.get('etag'), `"${live.etag}"`)
  const second = await call('start', live.etag, asked)
  assert.deepEqual([second.status, second.body.error.code], [409, 'rollout_state'])
  const both = await Promise.all([call('stop', live.etag), call('stop', live.etag)])
  assert.deepEqual(both.map(({ status }) => status).sort(), [200, 412])
  const none = await call('stop', (await ground.view()).etag)
  assert.deepEqual([none.status, none.body.error.code], [409, 'rollout_state'])
})

test('a version that adds a host waits for a second operator, as for a rollout', async () => {
  await using ground = await shadowAtHand({
    variables: { PARLEY_SECOND_OPERATOR: 'true', PARLEY_EGRESS_HOSTS: '127.0.0.1,elsewhere.example' },
    candidate: { baseUrl: 'http://elsewhere.example/v1' },
  })
  const { etag } = await ground.view()
  const { status, body } = await ground.client.call('POST', `${path}/start`, asked, { 'if-match': `"${etag}"` })
  assert.deepEqual([status, body.error.code], [409, 'second_operator_needed'])
})

test('with a budget of nothing, nothing is tried', async () => {
  await using ground = await shadowAtHand({ variables: { PARLEY_SHADOW_USD: '0' } })
  const { etag } = await ground.view()
  const { status, body } = await ground.client.call('POST', `${path}/start`, asked, { 'if-match': `"${etag}"` })
  assert.deepEqual([status, body.error.param], [400, 'budgetUsd'])
})
