import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connectionOf } from './postgres-connection.ts'

const credential = { token: async (scope: string) => ({ token: `token for ${scope}`, expiresAt: 0 }) }

test('without a credential the URL says everything', () => {
  const url = 'postgres://user:secret@db.example:6432/parley?sslmode=verify-full&application_name=x'
  assert.deepEqual(connectionOf(url, undefined), { connectionString: url })
})

test('with a credential the password is a token, whatever the URL says', async () => {
  const { password, ...rest } = connectionOf('postgres://user%40tenant:secret@db.example/par%20ley', credential)
  assert.deepEqual(rest, { host: 'db.example', port: 5432, user: 'user@tenant', database: 'par ley', ssl: true })
  assert.ok(typeof password === 'function')
  assert.equal(await password(), 'token for https://ossrdbms-aad.database.windows.net/.default')
})

test('a token leaves this machine over TLS only', () => {
  const ssl = (url: string) => connectionOf(url, credential).ssl
  assert.equal(ssl('postgres://user@db.example:1234/parley'), true)
  assert.equal(ssl('postgres://user@db.example/parley?sslmode=prefer'), true)
  assert.throws(() => ssl('postgres://user@db.example/parley?sslmode=disable'), { code: 'environment_invalid' })
  assert.throws(() => ssl('postgres://user@localhost.example/parley?sslmode=disable'), { code: 'environment_invalid' })
  for (const host of ['localhost', '127.0.0.1', '[::1]']) {
    assert.equal(ssl(`postgres://user@${host}/parley`), false)
    assert.equal(ssl(`postgres://user@${host}/parley?sslmode=disable`), false)
    assert.equal(ssl(`postgres://user@${host}/parley?sslmode=require`), true)
  }
  assert.equal(connectionOf('postgres://user@[::1]:5433/parley', credential).host, '::1')
})
