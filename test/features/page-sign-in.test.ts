import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { startBrowser } from '../support/browser.ts'
import { chatConfig, upstreamModel } from '../support/chat-config.ts'
import { startEntraApp } from '../support/entra-app.ts'
import { freePort } from '../support/free-port.ts'
import { startOidcIssuer } from '../support/oidc-issuer.ts'
import { startUpstream } from '../support/upstream.ts'

test('who opens the page signs in elsewhere, comes back to it, chats, and signs out', async () => {
  await using opened = new AsyncDisposableStack()
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
  page.setDefaultTimeout(5000)

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
