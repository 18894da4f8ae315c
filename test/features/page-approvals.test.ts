import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import type { Page } from 'playwright-core'
import type { RunView } from '#actions/actions.ts'
import { startApp } from '../support/app.ts'
import { startBrowser, type TestBrowser } from '../support/browser.ts'
import { chatConfig, upstreamModel } from '../support/chat-config.ts'
import { nativeClient } from '../support/native-client.ts'
import { ScriptedRun } from '../support/scripted-actions.ts'
import { startUpstream, type Upstream } from '../support/upstream.ts'

const opened = new AsyncDisposableStack()
let upstream: Upstream
let url: string
let browser: TestBrowser
let page: Page
let complaints: string[]

before(async () => {
  upstream = opened.adopt(await startUpstream(), (mock) => mock.close())
  const config = chatConfig({ primary: upstreamModel('primary', upstream.baseUrl) })
  const { calculate } = config.actions ?? {}
  assert.ok(calculate)
  calculate.approval = { roles: ['Action.Approver'], ownAllowed: true }
  const app = opened.use(await startApp({ config, variables: { PARLEY_EGRESS_HOSTS: upstream.host } }))
  url = app.url
  // Opens the database, which takes its time.
  const warm = { arguments: {} }
  const { status } = await nativeClient(url).call('POST', '/api/v1/actions/current_time/runs', warm, {
    prefer: 'wait=60',
  })
  assert.equal(status, 200)
  browser = opened.use(await startBrowser())
})

after(() => opened.disposeAsync())

beforeEach(async () => {
  const window = await browser.open()
  complaints = window.complaints
  page = await window.context.newPage()
  await page.goto(url)
  await page.getByRole('option', { name: 'helper · Helper' }).waitFor({ state: 'attached' })
  await page.getByLabel('Specialist').selectOption('helper')
})

const form = () => page.getByRole('form', { name: 'Approval of calculate' })
const approve = () => form().getByRole('button', { name: 'Approve' })
const reject = () => form().getByRole('button', { name: 'Reject' })
const answered = () => page.getByText('Answer complete.').waitFor({ state: 'attached' })

/** Has the model ask for something that waits for approval. */
async function ask(expression: string): Promise<void> {
  const call = { name: 'calculate', arguments: JSON.stringify({ expression }) }
  upstream.plan = [{ toolCalls: [call] }, { pieces: ['So ', 'be ', 'it.'] }]
  await page.getByLabel('Message').fill('please')
  await page.getByRole('button', { name: 'Send' }).click()
  await form().waitFor()
}

test('what waits for approval is shown as the server holds it, and goes on once it is approved', async () => {
  await ask('6*7 + 0 // <b>')
  const [given, hash] = [await form().locator('pre').textContent(), await form().locator('.hash').textContent()]
  assert.deepEqual(JSON.parse(given ?? ''), { expression: '6*7 + 0 // <b>' })
  assert.match(hash ?? '', /^SHA-256 [0-9a-f]{64}$/)
  assert.match((await page.locator('.call').textContent()) ?? '', / · awaiting-approval$/)
  await page.reload()
  await form().waitFor()
  await approve().click()
  await answered()
  assert.equal(await form().count(), 0)
  assert.match((await page.locator('.call').textContent()) ?? '', /^calculate .+ · (succeeded|failed): /)
  assert.deepEqual(complaints, [])
})

test('on a small screen all of what waits is in sight, and the page says what is waited for', async () => {
  await page.setViewportSize({ width: 375, height: 500 })
  await ask('1+2')
  await approve().waitFor()
  await page.getByText('Waiting for approval…').waitFor()
  const inSight = () =>
    page.evaluate(`(() => {
      const bottom = (found) => document.querySelector(found).getBoundingClientRect().bottom
      return bottom('form.approval') <= bottom('main') && document.documentElement.scrollWidth <= 375
    })()`)
  while (!(await inSight())) await page.waitForTimeout(20)
  await approve().click()
  await answered()
  assert.equal(await page.locator('#status').textContent(), '')
})

test('a rejection needs a reason, which the model is told', async () => {
  await ask('1+1')
  await reject().click()
  assert.equal(await form().count(), 1)
  await form().getByLabel('Reason').fill('Too dear.')
  await reject().click()
  await answered()
  assert.equal(await form().count(), 0)
  assert.match((await page.locator('.call').textContent()) ?? '', / · rejected: .*Too dear\./)
  assert.match(JSON.stringify(upstream.requests.at(-1)?.body), /Too dear\./)
  assert.deepEqual(complaints, [])
})

test('a decision that is refused says why, and can be taken again', async () => {
  await ask('2+2')
  const error = { code: 'forbidden', message: 'Not you.', request_id: 'req_1' }
  await page.route('**/approve', (route) => route.fulfill({ status: 403, json: { error } }), { times: 1 })
  await approve().click()
  await form().getByText('Not you. (forbidden, req_1)').waitFor()
  await approve().click()
  await answered()
  assert.equal(await form().count(), 0)
})

test('arguments that somebody edited meanwhile are shown before they can be approved', async () => {
  await ask('3+3')
  const edited = (body: RunView): RunView => ({
    ...body,
    arguments: { expression: '4+4' },
    argumentsHash: 'f'.repeat(64),
  })
  await page.route(/\/runs\/run_[0-9a-f]+$/, async (route) => {
    const response = await route.fetch()
    await route.fulfill({ response, json: edited(await response.json()) })
  })
  const error = { code: 'approval_changed', message: 'Changed.', request_id: 'req_1' }
  const hashes: string[] = []
  await page.route('**/approve', async (route) => {
    hashes.push(route.request().postDataJSON().hash)
    if (hashes.length === 1) return route.fulfill({ status: 412, json: { error } })
    await route.continue({ postData: JSON.stringify({ hash: hashes[0] }) })
  })
  await approve().click()
  await form().getByText('4+4').waitFor()
  await form().getByText('Changed. (approval_changed, req_1)').waitFor()
  await approve().click()
  await answered()
  assert.equal(hashes[1], 'f'.repeat(64))
})

test('what waits since an earlier visit is shown after the messages, and what comes of it is reported', async () => {
  const approval = {
    roles: ['Action.Approver'],
    ownAllowed: true,
    expiresAt: Date.now() + 60_000,
    editable: [],
    because: 'rule' as const,
    preview: null,
    decidedBy: null,
    decidedAt: null,
    decision: null,
  }
  const run = new ScriptedRun({ status: 'awaiting-approval', conversation: 'conv_1', approval })
  const other = new ScriptedRun({ status: 'awaiting-approval', conversation: 'conv_2' })
  const waiting = () => [run.view, other.view].filter(({ status }) => status === 'awaiting-approval')
  const said = [{ role: 'user', content: 'please' }]
  let updatedAt = 1
  const answers: [path: RegExp, json: () => unknown][] = [
    [/\/conversations\/conv_1$/, () => ({ specialist: 'helper', liveTurn: null, updatedAt })],
    [/\/messages\?/, () => ({ items: said, next: null })],
    [/\/runs\?whose=mine&status=awaiting-approval&/, () => ({ items: waiting() })],
    [/\/approve$/, () => run.change({ status: 'queued' }).view],
    [/\/stream$/, () => run.settle({ status: 'succeeded', result: { result: 42 } }).view],
    [new RegExp(`/runs/${run.id}$`), () => run.view],
  ]
  for (const [path, json] of answers) await page.route(path, (route) => route.fulfill({ json: json() }))
  await page.goto(`${url}/#conv_1`)
  await form().getByLabel('Reason').fill('being written')
  // Its target has taken a moment to say so.
  run.change({ approval: { ...approval, preview: { costs: 'nothing' } } })
  await form().getByText('It would do: { "costs": "nothing" }').waitFor()
  assert.equal(await form().getByLabel('Reason').inputValue(), 'being written')
  assert.equal(await page.locator('form.approval').count(), 1)
  await approve().click()
  await page.getByText('calculate {"expression":"6*7"} · succeeded: {"result":42}').waitFor()
  assert.equal(await form().count(), 0)
  said.push({ role: 'user', content: 'the report', kind: 'follow-up' } as (typeof said)[number])
  said.push({ role: 'assistant', content: 'It was 42.' })
  updatedAt = Date.now()
  await page.getByText('It was 42.').waitFor()
  assert.deepEqual(await page.locator('article.user').allTextContents(), ['please'])
})
