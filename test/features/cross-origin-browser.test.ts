import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { startBrowser } from '../support/browser.ts'
import { chatConfig, upstreamModel } from '../support/chat-config.ts'
import { startEntraApp } from '../support/entra-app.ts'
import { type HttpTarget, httpTarget } from '../support/http-target.ts'
import { startUpstream } from '../support/upstream.ts'

const LIBRARY = path.resolve('node_modules/openai')

/** A site of somebody else's, whose pages load OpenAI's own client as it is published. */
function site(): Promise<HttpTarget> {
  return httpTarget(({ url }, response) => {
    if (url === '/') return void response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html>')
    const file = path.join(LIBRARY, path.normalize(url.replace(/^\/openai\//, '')))
    if (!existsSync(file)) return void response.writeHead(404).end()
    response.writeHead(200, { 'content-type': 'text/javascript' }).end(readFileSync(file))
  })
}

/** Run in the page, as text: it knows nothing of this file. */
const CHAT = `async ({ baseURL, apiKey }) => {
  const { default: OpenAI } = await import('/openai/index.mjs')
  const client = new OpenAI({ baseURL, apiKey, dangerouslyAllowBrowser: true, maxRetries: 0 })
  const messages = [{ role: 'user', content: 'mock: tokens=5' }]
  try {
    const { data: stream, response } = await client.chat.completions.create({ model: 'plain', messages, stream: true }).withResponse()
    let pieces = 0
    for await (const { choices } of stream) if (choices[0]?.delta.content) pieces += 1
    const models = []
    for await (const { id } of client.models.list()) models.push(id)
    const fault = await client.models.retrieve('nobody').catch(({ status, code }) => ({ status, code }))
    const headers = ['x-request-id', 'x-parley-config', 'x-ratelimit-remaining-requests'].map((name) => response.headers.has(name))
    return { pieces, models, fault, headers }
  } catch (error) {
    return { name: error.constructor.name, status: error.status }
  }
}`

test("OpenAI's client talks to us out of a page of the list, streams and errors included, and out of no other", async () => {
  await using opened = new AsyncDisposableStack()
  const upstream = opened.adopt(await startUpstream(), (mock) => mock.close())
  const [listed, foreign] = [opened.use(await site()), opened.use(await site())]
  const app = opened.use(
    await startEntraApp({
      config: chatConfig({ primary: upstreamModel('primary', upstream.baseUrl) }),
      variables: { PARLEY_EGRESS_HOSTS: upstream.host, PARLEY_CORS_ORIGINS: listed.origin },
    }),
  )
  const { authorization = '' } = await app.as({ oid: randomUUID() })
  const given = { baseURL: `${app.url}/v1`, apiKey: authorization.replace('Bearer ', '') }
  const browser = opened.use(await startBrowser())

  const chatFrom = async ({ origin }: HttpTarget) => {
    const { context, complaints } = await browser.open()
    const page = await context.newPage()
    await page.goto(origin)
    const outcome = await page.evaluate(`(${CHAT})(${JSON.stringify(given)})`)
    return { outcome: outcome as Record<string, unknown>, complaints }
  }

  const { outcome } = await chatFrom(listed)
  assert.deepEqual(outcome, {
    pieces: 5,
    models: ['plain', 'helper', 'default'],
    fault: { status: 404, code: 'model_not_found' },
    headers: [true, true, true],
  })
  const asked = upstream.requests.length
  const refused = await chatFrom(foreign)
  assert.deepEqual(
    refused.outcome,
    { name: 'APIConnectionError', status: undefined },
    'the browser lets the page know nothing',
  )
  assert.match(refused.complaints.join(), /CORS policy/)
  assert.equal(upstream.requests.length, asked, 'nothing was done for it')
})
