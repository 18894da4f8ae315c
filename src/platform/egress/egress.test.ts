import assert from 'node:assert/strict'
import { test } from 'node:test'
import { httpTarget } from '../../../test/support/http-target.ts'
import { systemClock } from '../clock.ts'
import { createEgress, type EgressOptions, type EgressRequest } from './egress.ts'

const open = { hosts: ['tool.test', 'other.test'], privateRanges: ['127.0.0.1'], clock: systemClock }

function egressWith(lookup: EgressOptions['lookup'], change: Partial<EgressOptions> = {}) {
  const egress = createEgress({ ...open, lookup, ...change })
  return (url: string, more: Partial<EgressRequest> = {}) =>
    egress.request({
      method: 'GET',
      url: new URL(url),
      headers: {},
      signal: new AbortController().signal,
      timeouts: { connectMs: 20_000, totalMs: 20_000 },
      maxResponseBytes: 100,
      ...more,
    })
}

const home = async () => ['127.0.0.1']

test('method, path, headers and body arrive as given, under the name of the host, and the answer comes back', async () => {
  await using target = await httpTarget((_request, response) => {
    response.writeHead(201, { 'x-made': 'yes', 'content-type': 'text/plain' }).end('made')
  })
  const request = egressWith(home)
  const answer = await request(`http://tool.test:${target.port}/a%20b?c=%26#d`, {
    method: 'POST',
    headers: { 'content-type': 'text/x', authorization: 'Bearer t' },
    body: 'grüße',
  })
  assert.deepEqual([answer.status, answer.headers['x-made'], answer.body.toString()], [201, 'yes', 'made'])
  assert.deepEqual(target.requests, [
    {
      method: 'POST',
      url: '/a%20b?c=%26',
      headers: {
        host: `tool.test:${target.port}`,
        connection: 'close',
        'content-type': 'text/x',
        authorization: 'Bearer t',
        'accept-encoding': 'identity',
        'content-length': '7',
      },
      body: 'grüße',
    },
  ])
})

test('a host off the list is not even looked up', async () => {
  const request = egressWith(() => assert.fail('looked up'))
  for (const url of ['http://third.test/', 'http://127.0.0.1/', 'http://localhost/', 'http://u:p@tool.test/']) {
    await assert.rejects(request(url), { name: 'EgressRefused', reason: 'host', sent: false })
  }
})

test('a name that resolves to a forbidden address, be it among others, is not connected to', async () => {
  await using target = await httpTarget((_request, response) => response.end())
  const answers = [
    ['127.0.0.1'],
    ['169.254.169.254'],
    ['8.8.8.8', '127.0.0.1'],
    ['::ffff:127.0.0.1'],
    ['64:ff9b::7f00:1'],
  ]
  for (const answer of answers) {
    const request = egressWith(async () => answer, { privateRanges: [] })
    const refused = { name: 'EgressRefused', reason: 'address', host: 'tool.test', sent: false }
    await assert.rejects(request(`http://tool.test:${target.port}/`), refused)
  }
  assert.equal(target.requests.length, 0)
})

test('an address, and localhost, are permitted by standing on the list, for themselves only', async () => {
  await using target = await httpTarget((_request, response) => response.end('in'))
  const hosts = ['127.0.0.1', 'localhost', 'tool.test']
  const request = egressWith(undefined, { hosts, privateRanges: [] })
  assert.equal((await request(`http://127.0.0.1:${target.port}/`)).body.toString(), 'in')
  assert.equal((await request(`http://localhost:${target.port}/`)).body.toString(), 'in')
  await assert.rejects(request(`http://127.0.0.2:${target.port}/`), { reason: 'host' })
  const led = egressWith(async () => ['10.0.0.1'], { hosts, privateRanges: [] })
  await assert.rejects(led(`http://localhost:${target.port}/`), { reason: 'address' })
  await assert.rejects(egressWith(home, { hosts, privateRanges: [] })('http://tool.test/'), { reason: 'address' })
})

test('a name is resolved once a call, and the connection goes to the address that was checked', async () => {
  await using target = await httpTarget((_request, response) => response.end('checked'))
  await using trap = await httpTarget((_request, response) => response.end('trap'), '127.0.0.2', target.port)
  const answers = [['127.0.0.1'], ['127.0.0.2']]
  const request = egressWith(async () => answers.shift() ?? assert.fail('looked up once more'))
  assert.equal((await request(`http://tool.test:${target.port}/`)).body.toString(), 'checked')
  assert.equal(answers.length, 1)
  await assert.rejects(request(`http://tool.test:${target.port}/`), { reason: 'address' })
  assert.deepEqual([target.requests.length, trap.requests.length], [1, 0])
})

test('a dead address among several does not stand in the way', async () => {
  await using target = await httpTarget((_request, response) => response.end('alive'))
  const request = egressWith(async () => ['127.0.0.3', '127.0.0.1'], { privateRanges: ['127.0.0.0/8'] })
  assert.equal((await request(`http://tool.test:${target.port}/`)).body.toString(), 'alive')
})

test('GET follows three redirects and no fourth', async () => {
  await using target = await httpTarget(({ url }, response) => {
    const left = Number(url.slice(1))
    if (left === 0) response.end('there')
    else response.writeHead(302, { location: `/${left - 1}` }).end('x'.repeat(200))
  })
  const request = egressWith(home)
  assert.equal((await request(`http://tool.test:${target.port}/3`)).body.toString(), 'there')
  assert.equal(target.requests.length, 4)
  const refused = { name: 'EgressRefused', reason: 'redirect', sent: true }
  await assert.rejects(request(`http://tool.test:${target.port}/4`), refused)
  assert.equal(target.requests.length, 8)
})

for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
  test(`${method} follows none`, async () => {
    await using target = await httpTarget((_request, response) => response.writeHead(307, { location: '/on' }).end())
    const answer = await egressWith(home)(`http://tool.test:${target.port}/`, { method })
    assert.deepEqual([answer.status, target.requests.length], [307, 1])
  })
}

test('a redirect is held against the same rules: list, credentials, addresses', async () => {
  let location = ''
  await using target = await httpTarget((_request, response) => response.writeHead(302, { location }).end())
  const request = egressWith(async (name) => [name === 'tool.test' ? '127.0.0.1' : '169.254.169.254'])
  const places: [string, string][] = [
    ['http://third.test/', 'host'],
    ['http://169.254.169.254/latest/meta-data', 'host'],
    ['//localhost/', 'host'],
    [`http://user@tool.test:${target.port}/`, 'host'],
    ['file:///etc/passwd', 'host'],
    ['http://other.test/', 'address'],
  ]
  for (const [place, reason] of places) {
    location = place
    await assert.rejects(request(`http://tool.test:${target.port}/`), { name: 'EgressRefused', reason, sent: true })
  }
  assert.equal(target.requests.length, places.length)
})

test('a name that changes its answer between two hops is checked again', async () => {
  const answers = [['127.0.0.1'], ['10.0.0.1']]
  await using target = await httpTarget((_request, response) => response.writeHead(302, { location: '/on' }).end())
  const request = egressWith(async () => answers.shift() ?? [])
  await assert.rejects(request(`http://tool.test:${target.port}/`), { reason: 'address', sent: true })
  assert.equal(target.requests.length, 1)
})

test('credentials do not come along to another origin, nor back from there', async () => {
  await using target = await httpTarget(({ headers, url }, response) => {
    const [to, path] = headers.host?.startsWith('tool') ? ['other.test', '/on'] : ['tool.test', '/back']
    if (url === '/back') response.end('done')
    else response.writeHead(302, { location: `http://${to}:${target.port}${path}` }).end()
  })
  const headers = { authorization: 'Bearer t', 'x-api-key': 'k', 'idempotency-key': 'i', accept: 'a' }
  await egressWith(home)(`http://tool.test:${target.port}/`, { headers })
  const seen = target.requests.map(({ headers: { host: _host, connection: _connection, ...rest } }) => rest)
  const harmless = { accept: 'a', 'accept-encoding': 'identity' }
  assert.deepEqual(seen, [{ ...headers, ...harmless }, harmless, harmless])
})
