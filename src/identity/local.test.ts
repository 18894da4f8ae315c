import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ParleyError } from '#errors.ts'
import type { RequestFacts } from './authenticator.ts'
import { createLocalAuthenticator, isLoopbackHost } from './local.ts'

const facts = (headers: RequestFacts['headers'], remoteAddress: string | undefined = '127.0.0.1'): RequestFacts => ({
  method: 'GET',
  headers,
  remoteAddress,
  encrypted: false,
})
const { authenticate } = createLocalAuthenticator()
const refusedAs = (code: string) => (error: unknown) => error instanceof ParleyError && error.code === code

test('whoever sits at this machine is the local principal', () => {
  for (const host of ['127.0.0.1:8080', 'localhost:8080', 'LOCALHOST', '[::1]:8080']) {
    assert.deepEqual(authenticate(facts({ host })), authenticate(facts({ host, origin: `http://${host}` })))
  }
})

test('other machines are refused', () => {
  for (const address of ['10.0.0.7', '::ffff:10.0.0.7', '2001:db8::1', undefined]) {
    assert.throws(
      () => authenticate({ method: 'GET', headers: { host: 'localhost' }, remoteAddress: address, encrypted: false }),
      refusedAs('unauthenticated'),
    )
  }
})

test('a name from elsewhere that leads to this machine is refused', () => {
  for (const host of ['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example:8080', '', undefined]) {
    assert.throws(() => authenticate(facts(host === undefined ? {} : { host })), refusedAs('cross_site'))
  }
})

test('a web page from elsewhere is refused', () => {
  const host = '127.0.0.1:8080'
  for (const origin of [
    'https://evil.example',
    'null',
    'http://127.0.0.1:9090',
    'http://localhost:8080',
    'https://127.0.0.1:8080',
  ]) {
    assert.throws(() => authenticate(facts({ host, origin })), refusedAs('cross_site'))
  }
  assert.throws(() => authenticate(facts({ host, 'sec-fetch-site': 'cross-site' })), refusedAs('cross_site'))
})

test('only loopback counts as loopback', () => {
  assert.ok(['127.0.0.1', '127.8.9.1:80', 'localhost', '[::1]', '::1'].every(isLoopbackHost))
  assert.ok(!['0.0.0.0', '::', '10.0.0.1', 'example.com', '127.0.0.1.nip.io', '[::2]'].some(isLoopbackHost))
})
