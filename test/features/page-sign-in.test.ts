import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { startBrowser } from '../support/browser.ts'
import { chatConfig, upstreamModel } from '../support/chat-config.ts'
import { startEntraApp } from '../support/entra-app.ts'
import { freePort } from '../support/free-port.ts'
import { startOidcIssuer } from '../support/oidc-issuer.ts'
import { startUpstream } from '../support/upstream.ts'

async function startSite(opened: AsyncDisposableStack) {
  const upstream = opened.adopt(await startUpstream(), (mock) => mock.close())
  const port = await freePort()
  const issuer = opened.use(await startOidcIssuer([`http://127.0.0.1:${port}/auth/callback`]))
  issuer.user = { oid: randomUUID(), name: 'Ana Silva', roles: ['Chat.User'] }
  const { url } = opened.use(
    await startEntraApp({
      issuer,
      config: chatConfig({ primary: upstreamModel('primary', upstream.baseUrl) }),
      variables: { PORT: String(port), PARLEY_EGRESS_HOSTS: `${upstream.host},${new URL(issuer.authority).host}` },
    }),
  )
  const browser = opened.use(await startBrowser())
  const { context } = await browser.open({ ignoreHTTPSErrors: true })
  const page = await context.newPage()
  return { url, context, page }
}

test('who opens the page signs in elsewhere, comes back to it, chats, and signs out', async () => {
  await using opened = new AsyncDisposableStack()
  const { url, context, page } = await startSite(opened)
  await page.goto(url)
  await page.getByRole('link', { name: 'Sign in' }).click()
  await page.getByText('Ana Silva').waitFor()
  assert.equal(new URL(page.url()).origin, url)
  assert.equal(await page.evaluate('document.cookie'), '', 'no script reads the session')
  const [session, ...others] = (await context.cookies(url)).filter(({ name }) => name.startsWith('parley'))
  assert.deepEqual(others, [], 'nothing is left of the way to the session')
  assert.equal(session?.sameSite, 'Strict')
  assert.equal(session?.httpOnly, true)

  await page.getByRole('option', { name: 'plain · Plain' }).waitFor({ state: 'attached' })
  await page.getByLabel('Message').fill('Hello')
  await page.getByRole('button', { name: 'Send' }).click()
  await page.getByText('Answer complete.').waitFor({ state: 'attached' })
  await page.reload()
  await page.getByText('Ana Silva').waitFor()

  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.getByRole('link', { name: 'Sign in' }).waitFor()
  assert.equal((await context.request.get(`${url}/api/v1/me`)).status(), 401)
})

test('who was on the way to what is not open to everyone gets there, known', async () => {
  await using opened = new AsyncDisposableStack()
  const { url, page } = await startSite(opened)
  await page.goto(`${url}/auth/login?return=${encodeURIComponent('/api/v1/me?a=1&b="2"')}`)
  await page.waitForURL('**/api/v1/me?*')
  assert.match(String(await page.textContent('body')), /"name":"Ana Silva"/)
})

test('a sign-out that is refused is said, and can be tried again; without a session it has been done', async () => {
  await using opened = new AsyncDisposableStack()
  const { url, context, page } = await startSite(opened)
  await page.goto(`${url}/auth/login`)
  const leave = page.getByRole('button', { name: 'Sign out' })
  const error = { code: 'state_unavailable', message: 'Out of reach.', request_id: 'req_1' }
  await page.route('**/auth/logout', (route) => route.fulfill({ status: 503, json: { error } }))
  await leave.click()
  await page.getByText('Signing out failed. Out of reach. (state_unavailable, req_1)').waitFor()
  await page.route('**/auth/logout', (route) => route.abort())
  await leave.click()
  await page.getByText('Signing out failed. The server cannot be reached.').waitFor()
  await page.unroute('**/auth/logout')
  await context.clearCookies()
  await leave.click()
  await page.getByRole('link', { name: 'Sign in' }).waitFor()
  assert.equal(await page.getByText('Signing out failed').count(), 0)
})
