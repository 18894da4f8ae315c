import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { manualClock } from '../../../test/support/clock.ts'
import { httpTarget } from '../../../test/support/http-target.ts'
import { systemClock } from '../clock.ts'
import type { EgressOptions } from './egress.ts'
import { createEgressFetch } from './fetch.ts'

const rules = { hosts: ['tool.test', 'localhost'], privateRanges: ['127.0.0.1'], clock: systemClock }

function fetchWith(context: TestContext, lookup: EgressOptions['lookup'], change: Partial<EgressOptions> = {}) {
  const { fetch, close } = createEgressFetch({ ...rules, lookup, ...change })
  context.after(close)
  return fetch
}

const home = async () => ['127.0.0.1']
const refused = (reason: string) => (error: unknown) => {
  assert.ok(error instanceof TypeError && error.cause instanceof Error, String(error))
  assert.deepEqual([error.cause.name, 'reason' in error.cause && error.cause.reason], ['EgressRefused', reason])
  return true
}

test('a stream comes as it is sent, and the signal ends it at the target', async (context) => {
  const closed = Promise.withResolvers<void>()
  await using target = await httpTarget((_request, response) => {
    response.on('close', closed.resolve)
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n')
  })
  const controller = new AbortController()
  const fetch = fetchWith(context, home)
  const response = await fetch(`http://tool.test:${target.port}/a`, {
    signal: controller.signal,
    headers: { 'x-a': 'b' },
  })
  const reader = response.body?.getReader()
  assert.equal(new TextDecoder().decode((await reader?.read())?.value), 'data: 1\n\n')
  assert.equal(target.requests[0]?.headers['x-a'], 'b')
  controller.abort()
  await closed.promise
})

test('a host off the list is not even looked up', async (context) => {
  const fetch = fetchWith(context, () => assert.fail('looked up'))
  for (const url of ['http://third.test/', 'http://127.0.0.1/', 'http://[::1]/', 'https://tool.test.third.test/']) {
    await assert.rejects(fetch(url), refused('host'), url)
  }
})

test('a name with a forbidden address, be it among others, is not connected to', async (context) => {
  await using target = await httpTarget((_request, response) => void response.end('x'))
  for (const addresses of [['10.0.0.1'], ['127.0.0.1', '169.254.169.254'], ['::1']]) {
    const fetch = fetchWith(context, async () => addresses)
    await assert.rejects(fetch(`http://tool.test:${target.port}/`), refused('address'))
  }
  assert.equal(target.requests.length, 0)
})

test('each connection is checked anew, and goes to what was checked', async (context) => {
  await using target = await httpTarget((_request, response) => void response.end('x'))
  const answers = [['127.0.0.1'], ['127.0.0.2']]
  const fetch = fetchWith(context, async () => answers.shift() ?? [])
  const url = `http://tool.test:${target.port}/`
  assert.equal(await (await fetch(url)).text(), 'x')
  await assert.rejects(fetch(url), refused('address'))
  assert.equal(target.requests.length, 1)
})

test('a redirect off the list is held against the rules, too', async (context) => {
  await using target = await httpTarget((_request, response) => {
    response.writeHead(302, { location: 'http://169.254.169.254/secret' }).end()
  })
  await assert.rejects(fetchWith(context, home)(`http://tool.test:${target.port}/`), refused('host'))
})

test('a connection has ten seconds to come about', async (context) => {
  const clock = manualClock()
  const fetch = fetchWith(context, () => new Promise(() => {}), { clock })
  const late = fetch('http://tool.test/').catch((error: Error) => error.cause)
  while (clock.pending === 0) await new Promise(setImmediate)
  clock.advance(9999)
  await new Promise(setImmediate)
  assert.equal(clock.pending, 1, 'still waiting')
  clock.advance(1)
  const cause = await late
  assert.ok(cause instanceof Error && 'code' in cause)
  assert.equal(cause.code, 'UND_ERR_CONNECT_TIMEOUT')
})
