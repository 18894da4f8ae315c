import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { test } from 'node:test'
import { ParleyError } from '#errors.ts'
import { startTransport } from '../../../test/support/transport-server.ts'
import { registerPage } from './page-routes.ts'

const startPage = (checkLoad?: () => void) =>
  startTransport(registerPage, {
    authenticate: () => Promise.reject(new Error('Nobody is asked who they are.')),
    ...(checkLoad && { checkLoad }),
  })

test('serves the page and all that it is made of, however busy it is, under a policy that lets nothing else in', async () => {
  await using transport = await startPage(() => {
    throw new ParleyError('overloaded')
  })
  const index = await (await fetch(transport.url)).text()
  assert.match(index, /^<!doctype html>/)
  const parts = readdirSync('src/transport/page').filter((name) => /\.(js|css)$/.test(name))
  for (const path of ['/', ...parts.map((name) => `/page/${name}`)]) {
    const response = await fetch(transport.url + path)
    assert.equal(response.status, 200, path)
    const type = path === '/' ? 'html' : path.endsWith('.css') ? 'css' : 'javascript'
    assert.equal(response.headers.get('content-type'), `text/${type}; charset=utf-8`)
    assert.equal(response.headers.get('x-content-type-options'), 'nosniff')
    const policy = response.headers.get('content-security-policy')?.split('; ') ?? []
    const rules = Object.fromEntries(policy.map((rule) => [rule.split(' ')[0], rule.split(' ').slice(1).join(' ')]))
    assert.deepEqual(
      ['default-src', 'script-src', 'style-src', 'connect-src', 'frame-ancestors'].map((name) => rules[name]),
      ["'none'", "'self'", "'self'", "'self'", "'none'"],
    )
  }
})

test('the page names nothing that it would have to fetch from elsewhere', async () => {
  await using transport = await startPage()
  for (const path of ['/', '/page/page.css', '/page/page.js']) {
    assert.doesNotMatch(await (await fetch(transport.url + path)).text(), /https?:\/\//)
  }
})

test('nothing else of its folder is served', async () => {
  await using transport = await startPage()
  for (const path of ['/page/page-routes.ts', '/page/', '/page/..%2fserver.ts', '/index.html']) {
    assert.equal((await fetch(transport.url + path)).status, 404, path)
  }
})
