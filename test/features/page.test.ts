import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import type { Page } from 'playwright-core'
import { startApp } from '../support/app.ts'
import { startBrowser, type TestBrowser } from '../support/browser.ts'
import { chatConfig, upstreamModel } from '../support/chat-config.ts'
import { nativeClient } from '../support/native-client.ts'
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts'
import { startUpstream, type Upstream } from '../support/upstream.ts'
import { madeUpPieces } from '../support/upstream-plan.ts'

const opened = new AsyncDisposableStack()
let upstream: Upstream
let line: TcpProxy
let browser: TestBrowser
let page: Page
let complaints: string[]

before(async () => {
  upstream = opened.adopt(await startUpstream(), (mock) => mock.close())
  const model = (name: string) => upstreamModel(name, upstream.baseUrl, { continuation: 'restart' })
  const app = opened.use(
    await startApp({
      config: chatConfig({ primary: model('primary'), backup: model('backup') }),
      variables: { PARLEY_EGRESS_HOSTS: upstream.host },
    }),
  )
  // Opens the database, which takes its time.
  await nativeClient(app.url).call(
    'POST',
    '/api/v1/actions/current_time/runs',
    { arguments: {} },
    { prefer: 'wait=60' },
  )
  line = opened.use(await startTcpProxy({ host: '127.0.0.1', port: Number(new URL(app.url).port) }))
  browser = opened.use(await startBrowser())
})

after(() => opened.disposeAsync())

beforeEach(async () => {
  upstream.requests.length = 0
  const window = await browser.open()
  complaints = window.complaints
  page = await window.context.newPage()
  await page.goto(`http://127.0.0.1:${line.port}/`)
  await page.getByRole('option', { name: 'plain · Plain' }).waitFor({ state: 'attached' })
})

async function say(text: string): Promise<void> {
  await page.getByLabel('Message').fill(text)
  await page.getByRole('button', { name: 'Send' }).click()
}

const lastAnswer = () => page.locator('article.assistant').last()
const answered = () => page.getByText('Answer complete.').waitFor({ state: 'attached' })

/** The visible text of the last answer, without what is said beside it. */
const textOfAnswer = () =>
  lastAnswer().evaluate((article) =>
    [...article.childNodes].map((node) => (node.nodeType === 3 ? node.textContent : '')).join(''),
  )

/** Notes every length that the last answer is shown at; runs in the browser. */
const watchLengths = `
  window.lengths = new Set()
  const answer = [...document.querySelectorAll('article.assistant')].at(-1)
  const note = () => window.lengths.add(answer.textContent.length)
  new MutationObserver(note).observe(answer, { subtree: true, childList: true, characterData: true })`

/** Until the last answer has so many characters. */
async function untilLong(length: number): Promise<void> {
  await lastAnswer().evaluate(async (article, least) => {
    while ((article.textContent?.length ?? 0) < least) await new Promise((resolve) => setTimeout(resolve, 10))
  }, length)
}

/** Whether the last answer gets longer than that within so many looks, ten a second at most. */
async function grownBeyond(length: number, looks: number): Promise<boolean> {
  for (let look = 0; look < looks; look += 1) {
    if ((await textOfAnswer()).length > length) return true
    await page.waitForTimeout(100)
  }
  return false
}

test('an answer appears token by token, is announced once it is complete, and is never read as HTML', async () => {
  const pieces = ['<img src=x onerror=alert(1)> ', ...madeUpPieces(30), '<b>bold</b>']
  const { promise: isWatched, resolve: goOn } = Promise.withResolvers<void>()
  upstream.plan = [{ pieces, pace: 30, held: { at: 1, until: isWatched } }]
  await page.getByLabel('Specialist').selectOption('plain')
  await say('hello <i>you</i>')
  await lastAnswer().waitFor()
  await page.evaluate(watchLengths)
  goOn()
  await answered()
  const lengths = await page.evaluate<number[]>('[...window.lengths]')
  assert.ok(lengths.length > 5, `seen at lengths ${lengths}`)
  assert.equal(await textOfAnswer(), pieces.join(''))
  assert.equal(await page.locator('article.user').textContent(), 'hello <i>you</i>')
  assert.equal(await page.locator('article *').count(), 0)
  assert.deepEqual(complaints, [])
})

test('a reload comes back to the conversation, and a new one begins afresh', async () => {
  upstream.plan = [{ toolCalls: [{ name: 'calculate', arguments: '{"expression":"6*7"}' }] }, { pieces: ['It is 42.'] }]
  await page.getByLabel('Specialist').selectOption('helper')
  await say('what is 6*7?')
  await answered()
  await say('mock: tokens=5')
  await page.getByText(madeUpPieces(5).join('').slice(0, 20)).waitFor()
  await answered()
  const shown = await page.locator('article').allTextContents()
  assert.match(shown[1] ?? '', /^calculate \{"expression":"6\*7"\} · succeeded: \{"result":42\}It is 42\.$/)
  await page.reload()
  await page.locator('article').nth(3).waitFor()
  const again = await page.locator('article').allTextContents()
  assert.deepEqual(
    again.map((text) => text.replace('done', 'succeeded')),
    shown,
  )
  assert.equal(await page.getByLabel('Specialist').inputValue(), 'helper')
  await page.getByRole('button', { name: 'New conversation' }).click()
  assert.equal(await page.locator('article').count(), 0)
  assert.equal(new URL(page.url()).hash, '')
  await page.goBack()
  await page.locator('article').nth(3).waitFor()
  assert.deepEqual(complaints, [])
})

test('Stop ends a long answer, at the provider, too; so does Escape', async () => {
  for (const stop of [() => page.getByRole('button', { name: 'Stop' }).click(), () => page.keyboard.press('Escape')]) {
    await say('mock: tokens=10000 pace=100')
    await untilLong(30)
    await stop()
    await lastAnswer().getByText('Stopped.').waitFor()
    assert.equal(await page.getByText('Was this answer of use?').isVisible(), false)
    const request = upstream.requests.at(-1)
    await request?.closed
    assert.notEqual(request?.abortedAt, undefined)
    assert.ok(await page.getByRole('button', { name: 'Send' }).isVisible())
  }
  assert.deepEqual(complaints, [])
})

test('a line that is cut again and again costs nothing: the answer is complete and identical', async () => {
  await say('mock: tokens=120 pace=150')
  for (const length of [60, 300, 700]) {
    await untilLong(length)
    line.cut()
  }
  await answered()
  assert.equal(await textOfAnswer(), madeUpPieces(120).join(''))
  assert.equal(upstream.requests.length, 1)
  assert.deepEqual(
    complaints.filter((text) => !text.includes('net::ERR_')),
    [],
  )
})

test('a line that is gone before the turn is known is waited for, and the turn is started once', async () => {
  line.break()
  await say('mock: tokens=5')
  await page.getByText('Reconnecting…').waitFor()
  line.mend()
  await answered()
  assert.equal(await textOfAnswer(), madeUpPieces(5).join(''))
  assert.equal(await page.locator('article').count(), 2)
  assert.equal(upstream.requests.length, 1)
})

test('a line that falls silent without a word is given up for a new one', async () => {
  await page.clock.install()
  await page.reload()
  await say('mock: tokens=10000 pace=25')
  await untilLong(60)
  line.muteServer()
  const before = (await textOfAnswer()).length
  // The first new streams may go out on connections that were open already, and are silent, too. Each is given
  // time to speak, twice as much as the one before it: what goes by makes any stream look silent, one that is being
  // opened as well.
  for (let looks = 30; ; looks *= 2) {
    await page.clock.fastForward(20_000)
    if (await grownBeyond(before, looks)) break
  }
  await untilLong(before + 300)
  await page.getByRole('button', { name: 'Stop' }).click()
  await lastAnswer().getByText('Stopped.').waitFor()
  assert.ok(
    madeUpPieces(10_000)
      .join('')
      .startsWith(await textOfAnswer()),
  )
  assert.equal(upstream.requests.length, 1)
})

test('a reload in the middle of an answer goes on with it', async () => {
  await say('mock: tokens=10000 pace=100')
  await untilLong(60)
  const before = (await textOfAnswer()).length
  await page.reload()
  await lastAnswer().waitFor()
  await untilLong(before + 60)
  await page.getByRole('button', { name: 'Stop' }).click()
  await lastAnswer().getByText('Stopped.').waitFor()
  assert.ok(
    madeUpPieces(10_000)
      .join('')
      .startsWith(await textOfAnswer()),
  )
  assert.deepEqual(await page.locator('article.user').allTextContents(), ['mock: tokens=10000 pace=100'])
  assert.equal(upstream.requests.length, 1)
})

test('what came without an id is forgotten when the stream breaks, notes included', async () => {
  const frame = (id: number | undefined, event: string, data: object) =>
    `${id === undefined ? '' : `id: turn_1.${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`
  const call = { step: 0, index: 0, action: 'calculate', arguments: '{}' }
  const asked: (string | undefined)[] = []
  const answers = [
    [frame(0, 'token', { text: 'one ' }), frame(undefined, 'token', { text: 'lost ' }), frame(undefined, 'call', call)],
    [frame(1, 'token', { text: 'two ' }), frame(undefined, 'token', { text: 'three ' }), frame(3, 'call', call)],
    [frame(undefined, 'turn.failed', { error: { code: 'turn_lost', message: 'Lost.' } })],
    [frame(4, 'token', { text: 'four' }), frame(5, 'turn.completed', { finish: 'stop' })],
  ]
  await page.route(/\/(turns|stream)$/, async (route) => {
    asked.push(route.request().headers()['last-event-id'])
    const headers = { 'content-type': 'text/event-stream', 'x-parley-turn': 'turn_1' }
    await route.fulfill({ headers, body: answers.shift()?.join('') ?? '' })
  })
  await say('hi')
  await answered()
  assert.equal(await textOfAnswer(), 'one two three four')
  assert.deepEqual(await page.locator('.aside').allTextContents(), ['calculate {}'])
  assert.deepEqual(asked, [undefined, 'turn_1.0', 'turn_1.3', 'turn_1.3'])
})

test('a model that starts over shows a seam, and no word of the one before it', async () => {
  upstream.plan = [{ pieces: ['never ', 'mind '], fault: 'reset', pace: 50 }, { pieces: ['a ', 'new ', 'start'] }]
  await say('hi')
  await answered()
  assert.equal(await textOfAnswer(), 'a new start')
  assert.match((await page.locator('.aside').textContent()) ?? '', /^Started over by backup \(.+\)$/)
})

test('an error shows its code and its request, and Retry asks again', async () => {
  upstream.plan = [{ status: 400 }]
  await say('mock: tokens=5')
  await page.getByText(/\(provider_rejected, req_[0-9a-f]{32}\)/).waitFor()
  assert.equal(await page.getByRole('status').textContent(), '')
  await page.getByRole('button', { name: 'Retry' }).click()
  await answered()
  assert.equal(await textOfAnswer(), madeUpPieces(5).join(''))
  assert.equal(await page.getByRole('button', { name: 'Retry' }).count(), 0)
  await page.route('**/turns', (route) =>
    route.fulfill({ status: 503, json: { error: { code: 'overloaded', message: 'Full.', request_id: 'req_1' } } }),
  )
  await say('one more')
  await page.getByText('Full. (overloaded, req_1)').waitFor()
  await page.unroute('**/turns')
  await page.getByRole('button', { name: 'Retry' }).click()
  await answered()
  assert.equal(await page.locator('article').count(), 6)
})

test('what the reader thinks of the last answer is told, kept, and can be said anew', async () => {
  const bar = page.getByText('Was this answer of use?')
  const [yes, no] = ['Yes', 'No'].map((name) => page.getByRole('button', { name, exact: true, pressed: true }))
  assert.equal(await bar.isVisible(), false)
  await say('mock: tokens=5')
  await answered()
  await page.getByRole('button', { name: 'No', exact: true }).click()
  await no?.waitFor()
  await page.reload()
  await no?.waitFor()
  await page.route('**/feedback', (route) => route.fulfill({ status: 503, json: {} }), { times: 1 })
  await page.getByRole('button', { name: 'Yes', exact: true }).click()
  await page.getByText('It could not be noted.').waitFor()
  assert.equal(await yes?.count(), 0)
  await page.getByRole('button', { name: 'Yes', exact: true }).click()
  await yes?.waitFor()
  assert.equal(await no?.count(), 0)
  await page.getByRole('button', { name: 'New conversation' }).click()
  assert.equal(await bar.isVisible(), false)
})

test('a conversation that is not there says so', async () => {
  await page.goto(`http://127.0.0.1:${line.port}/#conv_nothing`)
  await page.reload()
  await page.getByText(/\(conversation_not_found, req_/).waitFor()
  assert.ok(await page.getByRole('button', { name: 'Retry' }).isVisible())
  assert.ok(await page.getByLabel('Specialist').isEnabled())
})

test('the keyboard is enough', async () => {
  await page.getByLabel('Message').press('a')
  await page.getByLabel('Message').press('Shift+Enter')
  await page.getByLabel('Message').press('b')
  await page.getByLabel('Message').press('Enter')
  await answered()
  assert.equal(await page.locator('article.user').textContent(), 'a\nb')
  assert.equal(await page.getByLabel('Message').inputValue(), '')
  assert.equal(await page.locator('textarea:focus').count(), 1)
})

test('it follows the colours of the system', async () => {
  const ground = () => page.evaluate('getComputedStyle(document.body).backgroundColor')
  await page.emulateMedia({ colorScheme: 'light' })
  const light = await ground()
  await page.emulateMedia({ colorScheme: 'dark' })
  assert.notEqual(await ground(), light)
})
