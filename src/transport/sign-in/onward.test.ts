import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mayRedirectTo, onwardTo } from './onward.ts'

test('only the page is reached by a redirect', () => {
  for (const path of ['/', '/?a=b', '/#conv_1']) assert.equal(mayRedirectTo(path), true, path)
  for (const path of ['/docs', '/api/v1/me', '/page/page.js', '/v1']) assert.equal(mayRedirectTo(path), false, path)
})

test('a path is text in the document that leads to it, whatever is in it', () => {
  const document = onwardTo(`/a"><script>alert('&amp;')</script>`)
  assert.doesNotMatch(document, /<script|"><s/)
  assert.equal(document.match(/\/a&quot;&gt;&lt;script&gt;alert\('&amp;amp;'\)&lt;\/script&gt;/g)?.length, 2)
})
