import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connectionOf } from './redis-connection.ts'

test('a URL says where, as whom, and whether by TLS', () => {
  const plain = connectionOf('redis://127.0.0.1')
  assert.deepEqual([plain.host, plain.port, plain.options.db, plain.options.tls], ['127.0.0.1', 6379, 0, undefined])
  assert.deepEqual([plain.options.username, plain.options.password], [undefined, undefined])

  const full = connectionOf('rediss://us%40er:p%3Aw@cache.example:10000/3')
  assert.deepEqual([full.host, full.port, full.options.db], ['cache.example', 10000, 3])
  assert.deepEqual([full.options.username, full.options.password], ['us@er', 'p:w'])
  assert.deepEqual(full.options.tls, { servername: 'cache.example' })

  assert.equal(connectionOf('redis://[::1]:6380').host, '::1')
  assert.equal(connectionOf('redis://:secret@h').options.password, 'secret')
})

test('it comes back for ever, within a second, at random moments', () => {
  const { retryStrategy } = connectionOf('redis://h').options
  for (let times = 1; times < 100; times++) {
    const waitMs = Number(retryStrategy?.(times))
    assert.ok(waitMs >= 0 && waitMs <= 1000)
  }
})
