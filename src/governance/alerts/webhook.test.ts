import assert from 'node:assert/strict'
import { createHmac, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { manualClock } from '../../../test/support/clock.ts'
import { httpTarget, type Received } from '../../../test/support/http-target.ts'
import { type Alert, budgetNews } from './alert.ts'
import { createWebhook } from './webhook.ts'

const reached = { tenant: 't', scope: 'user:t:ana', percent: 95, spentUsd: 9.5, limitUsd: 10, at: 1 }
const alert: Alert = { id: 'alert_1', ...budgetNews(reached) }
const secretOf = (bytes: Buffer) => `whsec_${bytes.toString('base64')}`

/** As receivers verify, by the text of the standard. */
function signatureOf({ headers, body }: Received, secret: Buffer): string {
  const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`
  return `v1,${createHmac('sha256', secret).update(signed).digest('base64')}`
}

test('a post is signed with every secret, so that one can take the place of another', async () => {
  await using target = await httpTarget((_request, response) => void response.writeHead(204).end())
  const [present, before] = [randomBytes(32), randomBytes(24)]
  const clock = manualClock()
  const secrets = () => [secretOf(present), before.toString('base64')]
  await createWebhook({ url: () => `${target.origin}/hook`, secrets, fetch, clock })(alert)
  const [request] = target.requests
  assert.ok(request)
  assert.equal(request.headers['webhook-id'], 'alert_1')
  assert.equal(request.headers['webhook-timestamp'], String(clock.now() / 1000))
  assert.deepEqual(String(request.headers['webhook-signature']).split(' '), [
    signatureOf(request, present),
    signatureOf(request, before),
  ])
  assert.notEqual(signatureOf(request, randomBytes(32)), signatureOf(request, present))
})

test('it says what has happened, and names nobody', async () => {
  await using target = await httpTarget((_request, response) => void response.writeHead(200).end())
  await createWebhook({ url: () => target.origin, secrets: () => [], fetch, clock: manualClock() })(alert)
  const [request] = target.requests
  assert.equal(request?.headers['webhook-signature'], undefined)
  const { scope, ...body } = JSON.parse(request?.body ?? '')
  assert.match(scope, /^user:t:[\w-]{22}$/)
  const { scope: _, ...rest } = reached
  assert.deepEqual(body, { severity: 'critical', kind: 'budget.reached', ...rest })
})

test('what is not a success is none, a way elsewhere is not taken', async () => {
  const statuses = [500, 404, 302]
  await using target = await httpTarget((_request, response) => {
    response.writeHead(statuses.shift() ?? 200, { location: '/elsewhere' }).end()
  })
  const post = createWebhook({ url: () => target.origin, secrets: () => [], fetch, clock: manualClock() })
  for (const status of [500, 404, 302])
    await assert.rejects(post(alert), { message: `The receiver answers ${status}.` })
  assert.equal(target.requests.length, 3)
  await post(alert)
})
