import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chatConfig, upstreamModel } from '../support/chat-config.ts'
import { startEntraApp } from '../support/entra-app.ts'
import { collect, nativeClient } from '../support/native-client.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { until } from '../support/runs-at-hand.ts'
import { sseEvents } from '../support/sse.ts'
import { startUpstream } from '../support/upstream.ts'

/** PGlite takes seconds to open. */
async function variables(opened: AsyncDisposableStack, host: string): Promise<Record<string, string>> {
  const postgres = opened.use(await sharedPostgres())
  return { PARLEY_EGRESS_HOSTS: host, DATABASE_URL: await postgres.createDatabase() }
}

test('Finance sets what a user may spend; answers are paid from it, on the native API and on /v1, until nothing is left', async () => {
  await using opened = new AsyncDisposableStack()
  const upstream = await startUpstream(() => ({ tokens: 50 }))
  opened.defer(() => upstream.close())
  const price = { input: 0, output: 10_000 }
  const config = chatConfig({ primary: upstreamModel('primary', upstream.baseUrl, { price, maxOutput: 100 }) })
  const app = opened.use(await startEntraApp({ config, variables: await variables(opened, upstream.host) }))
  const { call } = nativeClient(app.url)
  const ana = await app.as({ oid: 'ana' })
  const finance = await app.as({ oid: 'fin', roles: ['Finance.Operator'] })
  const path = `/api/v1/budgets/user:${app.issuer.home.id}:ana`
  for (const caller of [
    { oid: 'ana' },
    { oid: 'guest', tenant: app.issuer.guest, roles: ['Finance.Operator', 'Admin'] },
  ]) {
    assert.equal((await call('PUT', path, { limitUsd: 9, period: 'day' }, await app.as(caller))).status, 403)
  }
  // An answer costs 0.5 USD, and 1 at most.
  const set = await call(
    'PUT',
    path.replace(/:.*:/, (tenant) => tenant.toUpperCase()),
    { limitUsd: 1.6, period: 'day' },
    finance,
  )
  assert.equal(set.status, 200, JSON.stringify(set.body))
  const seen = { ...finance, 'if-match': set.headers.get('etag') ?? '' }
  assert.equal((await call('PUT', path, { limitUsd: 2, period: 'day' }, finance)).status, 428)

  const { body: conversation } = await call('POST', '/api/v1/conversations', { specialist: 'helper' }, ana)
  const say = (headers: Record<string, string>) =>
    call('POST', `/api/v1/conversations/${conversation.id}/turns`, { message: 'hello' }, headers)
  const complete = (headers: Record<string, string>) =>
    call('POST', '/v1/chat/completions', { model: 'default', messages: [{ role: 'user', content: 'hi' }] }, headers)
  const spent = async () => {
    const { body } = await call('GET', '/api/v1/budgets', undefined, finance)
    return body.items.find(({ scope }: { scope: string }) => path.endsWith(scope))
  }

  const said = await say(ana)
  assert.equal(said.body.status, 'completed', JSON.stringify(said.body))
  let now = await spent()
  assert.equal(now.spentUsd, said.body.receipt.costUsd)
  assert.equal(now.reservedUsd, 0)
  assert.equal((await complete(ana)).status, 200)
  now = await spent()
  assert.ok(now.spentUsd > said.body.receipt.costUsd, JSON.stringify(now))

  // What is left does not hold the most that an answer may cost.
  const late = await say(ana)
  assert.equal(late.status, 402, JSON.stringify(late.body))
  assert.equal(late.body.error.code, 'budget_exceeded')
  const refused = await complete(ana)
  assert.equal(refused.status, 402)
  assert.equal(refused.headers.get('x-should-retry'), 'false')
  assert.equal((await complete(await app.as({ oid: 'ben' }))).status, 200)

  const override = { addUsd: 10, minutes: 60, reason: 'a release' }
  const both = await Promise.all([1, 2].map(() => call('PUT', `${path}/override`, override, seen)))
  assert.deepEqual(both.map(({ status }) => status).sort(), [200, 412])
  const again = await say(ana)
  assert.equal(again.body.status, 'completed', JSON.stringify(again.body))

  // It is removed for a while, and counts by another part of the calendar: what was spent is what the ledger has.
  const inLedger = async (calls: number) => {
    const usage = () => call('GET', '/api/v1/usage', undefined, ana)
    await until(async () => (await usage()).body.total.calls === calls)
    return (await usage()).body.total.costUsd
  }
  const before = await inLedger(3)
  const matching = async () => ({ ...finance, 'if-match': `"${(await spent()).version}"` })
  assert.equal((await call('DELETE', path, undefined, await matching())).status, 204)
  assert.equal((await say(ana)).body.status, 'completed')
  let calls = 4
  let all = await inLedger(calls)
  assert.ok(all > before)
  assert.equal((await call('PUT', path, { limitUsd: 100, period: 'month' }, finance)).status, 200)
  assert.equal((await spent()).spentUsd, all)
  for (const period of ['day', 'month']) {
    assert.equal((await call('PUT', path, { limitUsd: 100, period }, await matching())).status, 200)
    assert.equal((await spent()).spentUsd, all, period)
    assert.equal((await say(ana)).body.status, 'completed')
    calls += 1
    all = await inLedger(calls)
    assert.equal((await spent()).spentUsd, all, period)
  }
})

test('answers under way are cut when others have cost far more than was thought, until Finance overrides', async () => {
  await using opened = new AsyncDisposableStack()
  const upstream = await startUpstream(({ messages }) =>
    JSON.stringify(messages).includes('long') ? { tokens: 100_000, pace: 50 } : { tokens: 300 },
  )
  opened.defer(() => upstream.close())
  // It says far more than it is said to.
  const price = { input: 0, output: 10_000 }
  const config = chatConfig({ primary: upstreamModel('primary', upstream.baseUrl, { price, maxOutput: 10 }) })
  const app = opened.use(await startEntraApp({ config, variables: await variables(opened, upstream.host) }))
  const { call } = nativeClient(app.url)
  const [ana, ben] = [await app.as({ oid: 'ana' }), await app.as({ oid: 'ben' })]
  const finance = await app.as({ oid: 'fin', roles: ['Finance.Operator'] })
  const path = `/api/v1/budgets/tenant:${app.issuer.home.id}`
  const set = await call('PUT', path, { limitUsd: 2, period: 'month' }, finance)
  assert.equal(set.status, 200, JSON.stringify(set.body))
  const say = (message: string, headers: Record<string, string>) =>
    fetch(`${app.url}/api/v1/specialists/helper/stream?message=${message}`, {
      headers: { ...headers, accept: 'text/event-stream' },
    })

  const long = sseEvents((await say('long', ana)).body)
  assert.equal((await long.next()).done, false)
  const short = await collect(sseEvents((await say('short', ben)).body))
  assert.equal(short.at(-1)?.type, 'turn.completed')
  const last = (await collect(long)).at(-1)
  assert.equal(last?.type, 'turn.failed')
  assert.equal(Object(last?.data).error.code, 'budget_exceeded')
  assert.equal((await say('short', ben)).status, 402)

  const override = { addUsd: 100, minutes: 5, reason: 'a release' }
  const seen = { ...finance, 'if-match': set.headers.get('etag') ?? '' }
  assert.equal((await call('PUT', `${path}/override`, override, seen)).status, 200)
  const again = await collect(sseEvents((await say('short', ben)).body))
  assert.equal(again.at(-1)?.type, 'turn.completed')
})
