import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { sumDecimals } from '#governance/decimals.ts'
import { startApp } from '../support/app.ts'
import { chatConfig, upstreamModel } from '../support/chat-config.ts'
import { startEntraApp } from '../support/entra-app.ts'
import { nativeClient } from '../support/native-client.ts'
import { noOwnPostgres } from '../support/postgres.ts'
import { startSharedEngines } from '../support/shared-engines.ts'
import { sseEvents } from '../support/sse.ts'
import { startUpstream } from '../support/upstream.ts'

interface Receipt {
  turn: string
  segments: { model: string; inputTokens: number; outputTokens: number; costUsd: number; outcome: string }[]
}

/** Two models that cost something, the first as the message steers it. */
async function models(opened: AsyncDisposableStack) {
  const first = await startUpstream()
  const second = await startUpstream(() => ({ tokens: 7 }))
  for (const upstream of [first, second]) opened.defer(() => upstream.close())
  const config = chatConfig(
    {
      first: upstreamModel('first', first.baseUrl, { price: { input: 2.1, output: 8.3 } }),
      second: upstreamModel('second', second.baseUrl, { price: { input: 0.4, output: 1.7 } }),
    },
    { stallTimeoutMs: 5000 },
  )
  return { config, variables: { PARLEY_EGRESS_HOSTS: `${first.host},${second.host}` } }
}

async function until<Result>(look: () => Promise<Result | undefined>): Promise<Result> {
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** Turns of all kinds: whole, continued by another model, cancelled; their receipts. */
async function speak(url: string, headers: Record<string, string> = {}): Promise<Receipt[]> {
  const { call } = nativeClient(url)
  const conversation = await call('POST', '/api/v1/conversations', { specialist: 'plain' }, headers)
  const turns = `/api/v1/conversations/${conversation.body.id}/turns`
  const receipts: Receipt[] = []
  for (const message of ['mock: tokens=11', 'mock: tokens=30 fault=cut at=4', 'mock: status=500', 'hello']) {
    const { body } = await call('POST', turns, { message }, headers)
    assert.equal(body.status, 'completed', JSON.stringify(body))
    receipts.push(body.receipt)
  }
  const response = await fetch(url + turns, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'text/event-stream', ...headers },
    body: JSON.stringify({ message: 'mock: tokens=100000 pace=100' }),
  })
  const turn = response.headers.get('x-parley-turn')
  let seen = 0
  for await (const { type, data } of sseEvents(response.body)) {
    seen += 1
    if (seen === 5) assert.equal((await call('POST', `/api/v1/turns/${turn}/cancel`, undefined, headers)).status, 202)
    if (type === 'turn.cancelled') receipts.push((data as { receipt: Receipt }).receipt)
  }
  assert.deepEqual(
    receipts.flatMap(({ segments }) => segments.map(({ outcome }) => outcome)),
    ['completed', 'failed', 'completed', 'failed', 'completed', 'completed', 'cancelled'],
  )
  return receipts
}

/** One turn; its receipt. */
async function ask(url: string, headers: Record<string, string>): Promise<Receipt[]> {
  const { call } = nativeClient(url)
  const conversation = await call('POST', '/api/v1/conversations', { specialist: 'plain' }, headers)
  const turns = `/api/v1/conversations/${conversation.body.id}/turns`
  const { body } = await call('POST', turns, { message: 'mock: tokens=9' }, headers)
  assert.equal(body.status, 'completed', JSON.stringify(body))
  return [body.receipt]
}

function sumsOf(receipts: readonly Receipt[]) {
  const segments = receipts.flatMap((receipt) => receipt.segments)
  const sum = (of: (segment: Receipt['segments'][number]) => number) =>
    segments.reduce((total, segment) => total + of(segment), 0)
  return {
    calls: segments.length,
    inputTokens: sum(({ inputTokens }) => inputTokens),
    outputTokens: sum(({ outputTokens }) => outputTokens),
    costUsd: sumDecimals(segments.map(({ costUsd }) => costUsd)),
  }
}

test('on a machine of one’s own usage adds up to the receipts, and no database is opened for it', async () => {
  await using opened = new AsyncDisposableStack()
  const given = await models(opened)
  const first = opened.use(await startApp(given))
  const receipts = await speak(first.url)
  const expected = sumsOf(receipts)
  assert.ok(expected.costUsd > 0)
  const usage = async (url: string) => (await nativeClient(url).call('GET', '/api/v1/usage')).body
  await until(async () => ((await usage(first.url)).total.calls >= expected.calls ? true : undefined))
  const { total, items, whose } = await usage(first.url)
  assert.deepEqual([total, whose], [expected, 'mine'])
  assert.deepEqual(new Set(items.map(({ model }: { model: string }) => model)), new Set(['first', 'second']))
  // One that is passed through.
  const asked = { model: 'default', messages: [{ role: 'user', content: 'mock: tokens=5' }] }
  assert.equal((await nativeClient(first.url).call('POST', '/v1/chat/completions', asked)).status, 200)
  await until(async () => ((await usage(first.url)).total.calls === expected.calls + 1 ? true : undefined))
  assert.equal(existsSync(path.join(first.env.dataDir, 'sql')), false)
})

test('what a turn cost is in the ledger once the database is back; the answer did not wait for it', {
  skip: await noOwnPostgres(),
}, async () => {
  await using opened = new AsyncDisposableStack()
  const given = await models(opened)
  const engines = opened.use(await startSharedEngines({ ownPostgres: true }))
  const variables = { ...given.variables, ...engines.variables, PARLEY_TURN_LEASE_MS: '5000' }
  const app = opened.use(await startApp({ ...given, variables }))
  const { call } = nativeClient(app.url)
  const conversation = await call('POST', '/api/v1/conversations', { specialist: 'plain' })
  const say = async () => {
    const turn = await call('POST', `/api/v1/conversations/${conversation.body.id}/turns`, { message: 'hello' })
    assert.equal(turn.body.status, 'completed', JSON.stringify(turn.body))
    return turn.body.receipt as Receipt
  }
  const before = await say()
  await engines.postgres.kill()
  const during = await say()
  assert.equal((await call('GET', '/api/v1/usage')).status, 503)
  await engines.postgres.start()
  const after = await say()
  const expected = sumsOf([before, during, after])
  const total = await until(async () => {
    const { body } = await call('GET', '/api/v1/usage')
    return body.total?.calls >= 3 ? body.total : undefined
  })
  assert.deepEqual(total, expected)
})

test('Finance sees the tenant and takes the month home as CSV, which is noted; others see their own', async () => {
  await using opened = new AsyncDisposableStack()
  const given = await models(opened)
  const engines = opened.use(await startSharedEngines())
  const app = opened.use(await startEntraApp({ ...given, variables: { ...given.variables, ...engines.variables } }))
  const { call } = nativeClient(app.url)
  const groups = ['11111111-1111-1111-1111-111111111111']
  const ana = await app.as({ oid: 'ana', claims: { groups } })
  const ben = await app.as({ oid: 'ben' })
  const guest = await app.as({
    oid: 'ana',
    tenant: app.issuer.guest,
    roles: ['Chat.User', 'Finance.Operator', 'Admin'],
  })
  const finance = await app.as({ oid: 'fin', roles: ['Finance.Operator'] })
  const month = new Date().toISOString().slice(0, 7)
  const [anas, bens, guests] = [await speak(app.url, ana), await ask(app.url, ben), await ask(app.url, guest)]
  const usage = async (headers: Record<string, string>, query = '') =>
    (await call('GET', `/api/v1/usage?month=${month}${query}`, undefined, headers)).body
  const all = sumsOf([...anas, ...bens])
  await until(async () => ((await usage(finance, '&whose=tenant')).total.calls >= all.calls ? true : undefined))
  await until(async () => ((await usage(guest)).total.calls >= sumsOf(guests).calls ? true : undefined))
  assert.deepEqual((await usage(finance, '&whose=tenant')).total, all)
  assert.deepEqual((await usage(finance)).total.calls, 0)
  assert.deepEqual((await usage(ana)).total, sumsOf(anas))
  assert.deepEqual((await usage(guest)).total, sumsOf(guests))

  for (const query of ['&whose=tenant', '&format=csv']) {
    for (const who of [ana, guest]) assert.equal((await usage(who, query)).error.code, 'forbidden')
  }
  const response = await fetch(`${app.url}/api/v1/usage?month=${month}&format=csv`, { headers: finance })
  assert.equal(response.headers.get('content-type'), 'text/csv; charset=utf-8')
  assert.match(response.headers.get('content-disposition') ?? '', new RegExp(`parley-usage-${month}\\.csv`))
  const [heading = '', ...lines] = (await response.text()).trimEnd().split('\r\n')
  const rows = lines.map((line) =>
    Object.fromEntries(line.split(',').map((cell, at) => [heading.split(',')[at], cell])),
  )
  assert.equal(sumDecimals(rows.map((row) => Number(row.cost_usd))), all.costUsd)
  assert.equal(rows.length, all.calls)
  for (const { turn, segments } of [...anas, ...bens]) {
    const kept = rows.filter((row) => row.turn === turn).sort((a, b) => Number(a.segment) - Number(b.segment))
    assert.deepEqual(
      kept.map((row) => [
        row.model,
        Number(row.input_tokens),
        Number(row.output_tokens),
        Number(row.cost_usd),
        row.outcome,
      ]),
      segments.map((one) => [one.model, one.inputTokens, one.outputTokens, one.costUsd, one.outcome]),
    )
  }
  assert.deepEqual(new Set(rows.map((row) => row.groups)), new Set([groups[0], '']))
  assert.ok(rows.every((row) => !/ana|ben/.test(row.user ?? '')))

  const officer = await app.as({ oid: 'officer', roles: ['Privacy.Officer'] })
  const { body } = await call('GET', '/api/v1/audit?kind=usage.exported', undefined, officer)
  assert.deepEqual(
    body.items.map(({ subject }: { subject: string }) => subject),
    [month],
  )
  assert.equal((await call('GET', '/api/v1/usage?month=2026-13', undefined, ana)).status, 400)
})
