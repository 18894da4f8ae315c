import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startApp } from '../support/app.ts'
import { startBrowser } from '../support/browser.ts'
import { chatConfig, upstreamModel } from '../support/chat-config.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'
import { startUpstream } from '../support/upstream.ts'
import { madeUpPieces } from '../support/upstream-plan.ts'

interface Watched {
  tokens: { id: string; text: string }[]
  openings: number
  closed: boolean
}

/** What a page does with an EventSource that is left to itself; runs in the browser. */
const watch = `
  const source = new EventSource('/api/v1/specialists/plain/stream?message=' + 'hello')
  window.watched = { tokens: [], openings: 0, closed: false }
  source.addEventListener('open', () => watched.openings++)
  source.addEventListener('token', ({ lastEventId, data }) => watched.tokens.push({ id: lastEventId, text: JSON.parse(data).text }))
  source.addEventListener('error', () => { watched.closed = source.readyState === EventSource.CLOSED })
`

test('an EventSource that loses its line resumes unaided, starts no second turn, and stops at the end', async () => {
  await using opened = new AsyncDisposableStack()
  const upstream = opened.adopt(await startUpstream(), (mock) => mock.close())
  await using app = await startApp({
    config: chatConfig({ primary: upstreamModel('primary', upstream.baseUrl) }),
    variables: { PARLEY_EGRESS_HOSTS: upstream.host },
  })
  await using line = await startTcpProxy({ host: '127.0.0.1', port: Number(new URL(app.url).port) })
  await using browser = await startBrowser()
  const { context } = await browser.open()
  const page = await context.newPage()
  // It has more to say only once the line was cut.
  const { promise: isCut, resolve: goOn } = Promise.withResolvers<void>()
  upstream.plan = [{ tokens: 60, pace: 30, held: { at: 40, until: isCut } }]
  await page.goto(`http://127.0.0.1:${line.port}/`)
  await page.evaluate(watch)
  const until = async (reached: (watched: Watched) => boolean): Promise<Watched> => {
    for (;;) {
      const watched = await page.evaluate<Watched>('window.watched')
      if (reached(watched)) return watched
      await page.waitForTimeout(20)
    }
  }
  await until(({ tokens }) => tokens.length > 10)
  line.cut()
  goOn()
  const { tokens, openings } = await until(({ closed }) => closed)

  assert.equal(tokens.map(({ text }) => text).join(''), madeUpPieces(60).join(''))
  assert.equal(new Set(tokens.map(({ id }) => id)).size, tokens.length)
  assert.equal(new Set(tokens.map(({ id }) => id.split('.')[0])).size, 1)
  assert.equal(openings, 2)
  assert.equal(upstream.requests.length, 1)
})
