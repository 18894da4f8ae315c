import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nextHop } from './redirect.ts'

const headers = { accept: 'a', authorization: 'Bearer x', 'x-key': 'y', 'user-agent': 'parley', 'idempotency-key': 'k' }
const hop = (url: string) => ({ url: new URL(url), headers })

test('a redirect leads on, relative to where it was found; what is none does not', () => {
  const from = hop('https://desk.example/a/b?c=d')
  for (const status of [301, 302, 303, 307, 308]) {
    const next = nextHop(from, status, { location: '../x?y=z' })
    assert.ok(next && next !== 'refused')
    assert.equal(next.url.href, 'https://desk.example/x?y=z')
    assert.equal(next.headers, headers)
  }
  for (const status of [200, 300, 304, 305, 306, 400])
    assert.equal(nextHop(from, status, { location: '/x' }), undefined)
  assert.equal(nextHop(from, 302, {}), undefined)
})

for (const other of ['https://other.example/', 'https://desk.example:444/', 'https://a.desk.example/']) {
  test(`${other} is another origin, and sees only what opens nothing`, () => {
    const next = nextHop(hop('https://desk.example/'), 302, { location: other })
    assert.ok(next && next !== 'refused')
    assert.deepEqual(next.headers, { accept: 'a', 'user-agent': 'parley' })
  })
}

test('from https to anything else, to two places, or to none that can be read, it is refused', () => {
  const places = ['http://desk.example/', 'ftp://desk.example/', 'data:,x', 'https://', ['/a', '/b']]
  for (const location of places) assert.equal(nextHop(hop('https://desk.example/'), 302, { location }), 'refused')
})
