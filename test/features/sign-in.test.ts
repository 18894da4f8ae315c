import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { type EntraApp, startEntraApp } from '../support/entra-app.ts'
import { freePort } from '../support/free-port.ts'
import { startOidcIssuer } from '../support/oidc-issuer.ts'
import { SignInBrowser } from '../support/sign-in-browser.ts'

interface Site extends EntraApp {
  browser(): SignInBrowser
}

/** The app at an address that the issuer knows. */
async function startSite(): Promise<Site> {
  const port = await freePort()
  const issuer = await startOidcIssuer([`http://127.0.0.1:${port}/auth/callback`])
  const app = await startEntraApp({ issuer, variables: { PORT: String(port) } })
  const stop = async () => {
    await app.stop()
    await issuer[Symbol.asyncDispose]()
  }
  return { ...app, browser: () => new SignInBrowser(), stop, [Symbol.asyncDispose]: stop }
}

async function signedIn(site: Site, query = ''): Promise<SignInBrowser> {
  const browser = site.browser()
  const { response } = await browser.visit(`${site.url}/auth/login${query}`)
  assert.equal(response?.status, 200, String(await response?.text()))
  return browser
}

const statusOf = async (asked: Promise<Response>) => {
  const response = await asked
  await response.body?.cancel()
  return response.status
}

test('a browser signs in, is known by a cookie that no script can read, and signs out', async () => {
  await using site = await startSite()
  const { url, issuer } = site
  issuer.user = { oid: randomUUID(), name: 'Ana Silva', roles: ['Chat.User', 'Config.Operator'] }
  const browser = site.browser()
  const { url: landed, response } = await browser.visit(`${url}/auth/login?return=${encodeURIComponent('/#conv_1')}`)
  assert.equal(landed.href, `${url}/#conv_1`)
  assert.match(String(await response?.text()), /<title>Parley/)

  const me = await browser.fetch(`${url}/api/v1/me`)
  assert.deepEqual(await me.json(), {
    tenant: issuer.home.id,
    id: issuer.user.oid,
    name: 'Ana Silva',
    kind: 'user',
    roles: ['Chat.User', 'Config.Operator'],
  })
  assert.ok(!browser.cookies(url).includes('eyJ'), 'no token is in the browser')

  const out = await browser.fetch(`${url}/auth/logout`, { method: 'POST', headers: { origin: url } })
  assert.equal(out.status, 204)
  assert.match(String(out.headers.get('set-cookie')), /parley-session=; Path=\/; HttpOnly; SameSite=Strict; Max-Age=0/)
  assert.equal(await statusOf(browser.fetch(`${url}/api/v1/me`)), 401)
})

test('a session that was ended is over, whoever has kept its cookie', async () => {
  await using site = await startSite()
  const browser = await signedIn(site)
  const cookie = browser.cookies(site.url)
  assert.equal(await statusOf(fetch(`${site.url}/api/v1/me`, { headers: { cookie } })), 200)
  await browser.fetch(`${site.url}/auth/logout`, { method: 'POST', headers: { origin: site.url } })
  assert.equal(await statusOf(fetch(`${site.url}/api/v1/me`, { headers: { cookie } })), 401)
})

test('what changes anything has to come from a page of ours, and so has every WebSocket', async () => {
  await using site = await startSite()
  const { url } = site
  const browser = await signedIn(site)
  const create = (headers: Record<string, string>) =>
    statusOf(
      browser.fetch(`${url}/api/v1/conversations`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify({ specialist: 'apollo' }),
      }),
    )
  assert.equal(await create({ origin: url }), 201)
  assert.equal(await create({ 'sec-fetch-site': 'same-origin' }), 201)
  assert.equal(await create({}), 403)
  assert.equal(await create({ origin: 'https://evil.example' }), 403)
  assert.equal(await create({ origin: 'null' }), 403)
  assert.equal(await create({ 'sec-fetch-site': 'same-site' }), 403)
  assert.equal(await create({ 'sec-fetch-site': 'none' }), 403)

  const read = (headers: Record<string, string>) => statusOf(browser.fetch(`${url}/api/v1/me`, { headers }))
  assert.equal(await read({}), 200)
  assert.equal(await read({ 'sec-fetch-site': 'none' }), 200)
  assert.equal(await read({ origin: 'https://evil.example' }), 403)
  assert.equal(await read({ 'sec-fetch-site': 'cross-site' }), 403)

  const shake = async (origin: string | undefined): Promise<boolean> => {
    const { WebSocket } = await import('ws')
    const headers = { cookie: browser.cookies(url) }
    const socket = new WebSocket(`${url.replace('http', 'ws')}/ws/v1/specialists/apollo`, {
      headers,
      ...(origin && { origin }),
    })
    return new Promise((resolve) => {
      socket.once('open', () => {
        socket.terminate()
        resolve(true)
      })
      socket.once('error', () => resolve(false))
    })
  }
  assert.equal(await shake(url), true)
  assert.equal(await shake('https://evil.example'), false)
  assert.equal(await shake(undefined), false)
})

test('the way back from a sign-in is taken once, by the browser that began it', async () => {
  await using site = await startSite()
  const { url } = site
  const isCallback = (at: URL) => at.pathname === '/auth/callback'
  const browser = site.browser()
  const { url: back } = await browser.visit(`${url}/auth/login`, isCallback)

  const other = site.browser()
  await other.visit(`${url}/auth/login`, isCallback)
  assert.equal(await statusOf(other.fetch(back)), 401)
  // Whoever tried has used it up: a sign-in that somebody else holds the way back of is not to be completed.
  assert.equal(await statusOf(browser.fetch(back)), 401)

  const again = site.browser()
  const { url: second } = await again.visit(`${url}/auth/login`, isCallback)
  assert.equal(await statusOf(site.browser().fetch(second)), 401)
  assert.equal(await statusOf(again.fetch(second)), 302)
  assert.equal(await statusOf(again.fetch(second)), 401)
  for (const query of ['', '?code=x', '?state=x', '?error=access_denied&state=x', '?code=x&state=../x']) {
    assert.equal(await statusOf(again.fetch(`${url}/auth/callback${query}`)), 401, query)
  }
})

test('the way back leads to no other site, and only tenants that are served sign in', async () => {
  await using site = await startSite()
  const { url, issuer } = site
  const begin = (query: string) => statusOf(site.browser().fetch(`${url}/auth/login?${query}`))
  for (const path of ['//evil.example', '/\\evil.example', 'https://evil.example', 'evil', '', '/a b', '/\t/evil']) {
    assert.equal(await begin(`return=${encodeURIComponent(path)}`), 400, path)
  }
  assert.equal(await begin(`return=${encodeURIComponent(`/${'a'.repeat(1023)}`)}`), 302)
  assert.equal(await begin(`return=${encodeURIComponent(`/${'a'.repeat(1024)}`)}`), 400)
  assert.equal(await begin(`tenant=${randomUUID()}`), 400)

  const guest = await signedIn(site, `?tenant=${issuer.guest.id}`)
  const me = (await (await guest.fetch(`${url}/api/v1/me`)).json()) as { tenant: string }
  assert.equal(me.tenant, issuer.guest.id)
})

test('with the authority away a sign-in cannot begin, and says so', async () => {
  await using site = await startSite()
  site.issuer.down = true
  assert.equal(await statusOf(site.browser().fetch(`${site.url}/auth/login`)), 503)
})

test('whose session is over can still sign out, and keeps no cookie; other sites sign nobody out', async () => {
  await using site = await startSite()
  const { url } = site
  const origin = { origin: url }
  const browser = await signedIn(site)
  const cookie = browser.cookies(url)
  assert.equal(await statusOf(browser.fetch(`${url}/auth/logout`, { method: 'POST' })), 403)
  assert.equal(await statusOf(fetch(`${url}/api/v1/me`, { headers: { cookie } })), 200)
  await browser.fetch(`${url}/auth/logout`, { method: 'POST', headers: origin })
  const again = await fetch(`${url}/auth/logout`, { method: 'POST', headers: { cookie, ...origin } })
  assert.equal(again.status, 204)
  assert.match(String(again.headers.get('set-cookie')), /Max-Age=0/)
})
