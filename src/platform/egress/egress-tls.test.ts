import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:https'
import { before, test } from 'node:test'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { localhostCertificate, localhostKey } from '../../../test/support/localhost-certificate.ts'
import { systemClock } from '../clock.ts'
import { createEgress } from './egress.ts'

const requests: (string | undefined)[] = []
const server = createServer({ cert: localhostCertificate, key: localhostKey }, (request, response) => {
  requests.push(request.headers.host)
  response.end('secret')
})

before(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  server.unref()
})

function get(host: string) {
  const egress = createEgress({
    hosts: ['localhost', 'tool.test', '127.0.0.1'],
    privateRanges: ['127.0.0.1'],
    clock: systemClock,
    lookup: async () => ['127.0.0.1'],
  })
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : undefined
  return egress.request({
    method: 'GET',
    url: new URL(`https://${host}:${port}/`),
    headers: {},
    signal: new AbortController().signal,
    timeouts: { connectMs: 20_000, totalMs: 20_000 },
    maxResponseBytes: 100,
  })
}

test('a certificate that nobody vouches for is not accepted, and nothing is sent', async () => {
  await assert.rejects(get('localhost'), { name: 'EgressFailure', reason: 'connect_failed', sent: false })
  assert.equal(requests.length, 0)
})

test('one that is vouched for is accepted for its own name only', async () => {
  setDefaultCACertificates([...getCACertificates(), localhostCertificate])
  assert.equal((await get('localhost')).body.toString(), 'secret')
  for (const host of ['tool.test', '127.0.0.1']) {
    await assert.rejects(get(host), { name: 'EgressFailure', reason: 'connect_failed', sent: false })
  }
  assert.equal(requests.length, 1)
})
