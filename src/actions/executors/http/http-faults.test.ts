import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import type { ActionSpec, HttpExecutorSpec } from '#config/action-spec.ts'
import { capturedLog } from '../../../../test/support/captured-log.ts'
import { chatConfig } from '../../../../test/support/chat-config.ts'
import { manualClock } from '../../../../test/support/clock.ts'
import { executorContext } from '../../../../test/support/executor-context.ts'
import { freePort } from '../../../../test/support/free-port.ts'
import { httpExecutors } from '../../../../test/support/http-executors.ts'
import { httpTarget, rawTarget } from '../../../../test/support/http-target.ts'
import type { ExecutorContext } from '../executor.ts'

const clock = manualClock()
const { log, lines } = capturedLog()
const addresses: string[][] = []
const rules = {
  hosts: ['127.0.0.1', 'tool.test'],
  privateRanges: ['127.0.0.1'],
  lookup: async () => addresses.shift() ?? [],
}
const kind = httpExecutors(rules, clock, log)

type Change = Partial<Omit<HttpExecutorSpec, 'method'> & { method: string }>

async function run(
  url: string,
  http: Change = {},
  change: Partial<ExecutorContext> = {},
  more: Partial<ActionSpec> = {},
) {
  const written = { method: 'POST', url, ...http } as HttpExecutorSpec
  const spec = { description: 'd', parameters: {}, http: written, ...more }
  return await kind.executorOf(chatConfig({}), 'act', spec)?.({}, executorContext(change))
}

const refused = (message: string | RegExp) => ({ name: 'CorrectableError', message })
const lost = (message: string | RegExp) => ({ name: 'AnswerLostError', message })
const passing = (reason: string, untouched: boolean, retryAfterMs?: number) => ({
  name: 'PassingError',
  reason,
  untouched,
  retryAfterMs,
})

async function answering(answer: (response: ServerResponse) => void, http: Change = {}) {
  await using target = await httpTarget((_request, response) => answer(response))
  return await run(target.origin, http)
}

for (const status of [400, 401, 403, 404, 409, 422, 451, 499]) {
  test(`${status} is told to the model, with the words of the target`, async () => {
    const answer = (response: ServerResponse) => {
      response
        .writeHead(status, { 'content-type': 'application/json' })
        .end('{"error":{"message":"a \\"title\\" is missing"}}')
    }
    const message = `The tool refused with the status ${status}. It says: "a \\"title\\" is missing"`
    await assert.rejects(answering(answer), refused(message))
  })
}

test('words that never end are cut, and too many are none', async () => {
  const saying = (length: number) => (response: ServerResponse) => response.writeHead(400).end('x'.repeat(length))
  await assert.rejects(
    answering(saying(100_000)),
    refused(`The tool refused with the status 400. It says: "${'x'.repeat(500)}…"`),
  )
  await assert.rejects(
    answering(saying(1001), { maxResponseBytes: 1000 }),
    refused('The tool refused with the status 400.'),
  )
})

for (const [status, reason, untouched] of [
  [408, 'request_timeout', false],
  [425, 'too_early', true],
  [429, 'rate_limited', true],
  [500, 'server_error', false],
  [503, 'server_error', false],
  [504, 'server_error', false],
  [599, 'server_error', false],
] as const) {
  test(`${status} may pass: ${reason}, ${untouched ? 'surely not done' : 'perhaps done'}`, async () => {
    const later = (value?: string) => (response: ServerResponse) => {
      response.writeHead(status, value === undefined ? {} : { 'retry-after': value }).end('secret stack trace')
    }
    const message = `The tool answered with the status ${status}.`
    await assert.rejects(answering(later()), { ...passing(reason, untouched), message })
    await assert.rejects(answering(later('7')), passing(reason, untouched, 7000))
    const date = new Date(clock.now() + 90_000).toUTCString()
    await assert.rejects(answering(later(date)), passing(reason, untouched, 90_000))
    await assert.rejects(answering(later('999999')), passing(reason, untouched, 3_600_000))
    await assert.rejects(answering(later('soon')), passing(reason, untouched))
    await assert.rejects(answering(later('1'), { maxResponseBytes: 5 }), passing(reason, untouched, 1000))
  })
}

test('a redirect that is not followed is no success', async () => {
  const answer = (response: ServerResponse) => response.writeHead(303, { location: '/made/5' }).end()
  await assert.rejects(answering(answer), lost(/^The tool answered with a redirect \(303\), which was not followed/))
})

test('an answer may be as long as the limit; one byte more is lost, and the model is told that it was done', async () => {
  const saying = (length: number) => (response: ServerResponse) => response.end('x'.repeat(length))
  assert.equal(await answering(saying(64), { maxResponseBytes: 64 }), 'x'.repeat(64))
  const message = /did what was asked \(status 200\), but answered with more than 64 bytes, the limit/
  await assert.rejects(answering(saying(65), { maxResponseBytes: 64 }), lost(message))
  assert.equal(await answering(saying(262_144)), 'x'.repeat(262_144))
  await assert.rejects(answering(saying(262_145)), lost(/more than 262144 bytes.*do not repeat/))
})

test('a compressed answer that nobody asked for is lost likewise', async () => {
  const answer = (response: ServerResponse) => response.writeHead(200, { 'content-encoding': 'br' }).end('xyz')
  await assert.rejects(answering(answer), lost(/did what was asked \(status 200\), but answered compressed/))
})

test('nobody there: surely not done, and not begun', async () => {
  let begun = 0
  const begin = async () => {
    begun += 1
  }
  await assert.rejects(run(`http://127.0.0.1:${await freePort()}`, {}, { begin }), passing('connect_failed', true))
  await assert.rejects(run('http://tool.test/', {}, { begin }), passing('connect_failed', true))
  assert.equal(begun, 0)
})

for (const bytes of ['', 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf']) {
  test(`cut off after ${JSON.stringify(bytes)}: perhaps done`, async () => {
    await using target = await rawTarget((socket) => socket.once('data', () => socket.end(bytes)))
    await assert.rejects(run(target.origin), passing('cut_off', false))
  })
}

test('no answer in time, ours or that of the attempt: perhaps done', async () => {
  const asked = Promise.withResolvers<Socket>()
  await using target = await rawTarget((socket) => socket.once('data', () => asked.resolve(socket)))
  const waiting = run(target.origin, {}, {}, { timeoutMs: 700 })
  await asked.promise
  clock.advance(700)
  await assert.rejects(waiting, passing('timeout', false))

  const aborting = new AbortController()
  await using other = await rawTarget((socket) => socket.once('data', () => aborting.abort()))
  await assert.rejects(run(other.origin, {}, { signal: aborting.signal }), passing('interrupted', false))
  await assert.rejects(run(other.origin, {}, { signal: aborting.signal }), passing('interrupted', true))
  assert.equal(clock.pending, 0)
})

test('an address that is not permitted fails the run, for good, and the log says which host', async () => {
  await using target = await httpTarget((_request, response) => {
    response.writeHead(302, { location: 'http://169.254.169.254/latest/meta-data?secret' }).end()
  })
  lines.length = 0
  const message = 'The tool is, or led on to, an address that is not permitted here.'
  addresses.push(['127.0.0.1', '10.0.0.1'], ['127.0.0.1'])
  await assert.rejects(run(`http://tool.test:${target.port}/?q=private`), refused(message))
  assert.equal(target.requests.length, 0)
  await assert.rejects(run(`http://tool.test:${target.port}/`, { method: 'GET' }), lost(message))
  await assert.rejects(run('http://evil.test/'), refused(message))
  assert.deepEqual(
    lines.map(({ level, host, reason }) => ({ level, host, reason })),
    [
      { level: 40, host: 'tool.test', reason: 'address' },
      { level: 40, host: '169.254.169.254', reason: 'host' },
      { level: 40, host: 'evil.test', reason: 'host' },
    ],
  )
  assert.doesNotMatch(JSON.stringify(lines), /private|secret/)
})

test('redirects without end fail the run', async () => {
  await using target = await httpTarget((_request, response) => response.writeHead(302, { location: '/' }).end())
  await assert.rejects(run(target.origin, { method: 'GET' }), lost(/^The tool led on to other addresses too often/))
  assert.equal(target.requests.length, 4)
})
