import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { chatConfig, upstreamModel } from '../support/chat-config.ts'
import { httpTarget } from '../support/http-target.ts'
import { startReplica } from '../support/replica.ts'

/** An image of 2 MB, held by the process until the answer has ended. */
const IMAGE = { type: 'image_url', image_url: { url: `data:image/png;base64,${'iVBORw0K'.repeat(250_000)}` } }
/** As many as a model answers at once. */
const MOST = 50

const chunk = (content: string, finish: string | null = null) =>
  `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"${content}"},"finish_reason":${JSON.stringify(finish)}}]}\n\n`

test('a heap that fills up refuses what is new, lets what is under way end, and recovers', async (t) => {
  await using opened = new AsyncDisposableStack()
  /** Answers that have begun, and end when the test has them end. */
  const held: ServerResponse[] = []
  const upstream = opened.use(
    await httpTarget((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(chunk('so far'))
      held.push(response)
    }),
  )
  const folder = await mkdtemp(path.join(tmpdir(), 'parley-shed-'))
  opened.defer(() => rm(folder, { recursive: true, force: true }))
  const model = upstreamModel('primary', upstream.origin, { contextWindow: 4_000_000 })
  const config = chatConfig({ primary: model }, { stallTimeoutMs: 120_000 })
  await writeFile(path.join(folder, 'v1.json'), JSON.stringify(config))
  const replica = opened.use(
    await startReplica({
      NODE_OPTIONS: '--max-old-space-size=120',
      PARLEY_DATA_DIR: path.join(folder, 'data'),
      PARLEY_CONFIG_DIR: folder,
      PARLEY_EGRESS_HOSTS: new URL(upstream.origin).host,
      // A machine that runs other tests is late by itself.
      PARLEY_SHED_DELAY_MS: '0',
      PARLEY_LOG_LEVEL: 'error',
    }),
  )
  const ready = async () => (await fetch(`${replica.url}/health/ready`)).status
  const ask = () =>
    fetch(`${replica.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'default', stream: true, messages: [{ role: 'user', content: [IMAGE] }] }),
    })

  const streams: Response[] = []
  let refused: Response | undefined
  while (!refused && streams.length < MOST) {
    const answer = await ask()
    if (answer.status === 200) streams.push(answer)
    else refused = answer
  }
  assert.ok(refused, `${streams.length} questions of 2 MB were no reason to refuse one`)
  assert.ok(streams.length > 0)
  t.diagnostic(`${streams.length} answers under way`)
  const { error } = (await refused.json()) as { error: { code: string } }
  assert.deepEqual([refused.status, error.code], [503, 'overloaded'])
  assert.ok(Number(refused.headers.get('retry-after')) >= 1)
  assert.equal(await ready(), 503)
  assert.equal((await fetch(`${replica.url}/health/live`)).status, 200)

  // A crowd that does not wait finds the process alive.
  const crowd = await Promise.all(Array.from({ length: 5 }, async () => (await ask()).body?.cancel()))
  assert.equal(crowd.length, 5)
  for (const response of held) response.end(`${chunk(', and so on', 'stop')}data: [DONE]\n\n`)
  for (const stream of streams) assert.match(await stream.text(), /so far.*and so on.*\[DONE\]\n\n$/s)

  const deadline = performance.now() + 60_000
  while ((await ready()) !== 200 && performance.now() < deadline) await setTimeout(100)
  const again = await ask()
  held.at(-1)?.end(`${chunk('', 'stop')}data: [DONE]\n\n`)
  await again.text()
  assert.equal(again.status, 200, 'it did not recover')
})
