import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import type { RolloutView } from '#config/rollouts.ts'
import { ParleyError } from '#errors.ts'
import { registerConfigApi } from '#transport/config-api.ts'
import { quietHost } from '../../test/support/cli-run.ts'
import { ScriptedConfig } from '../../test/support/scripted-config.ts'
import { startTransport } from '../../test/support/transport-server.ts'
import { runCli } from './cli.ts'

/** Watches until `enough` is content with what was written. */
async function watch(url: string, enough: (out: string) => boolean, columns?: number, flags: string[] = []) {
  const leaving = new AbortController()
  let out = ''
  const code = await runCli(['config', 'status', '--watch', ...flags], {
    url,
    token: undefined,
    out: (text) => {
      out += text
      if (enough(out)) leaving.abort()
    },
    err: (text) => assert.fail(text),
    ...quietHost(),
    columns,
    signal: leaving.signal,
  })
  return { code, out: out.replaceAll(/\d\d:\d\d:\d\d/g, 'TIME') }
}

const verdict = (sentence: string): Pick<RolloutView, 'verdict'> => ({ verdict: { decision: 'hold', sentence } })

test('each change is a line, what looks the same is none', async () => {
  const config = new ScriptedConfig()
  await using transport = await startTransport((server, log) => registerConfigApi(server, config, log))
  const { code, out } = await watch(transport.url, (text) => {
    if (text.endsWith('live.\n')) queueMicrotask(() => config.become({}))
    setImmediate(() => config.become(verdict('Hold: 2 of 50.')))
    return text.endsWith('50.\n')
  })
  assert.equal(code, 0)
  assert.equal(out, 'TIME  v002 stable  No rollout is live.\nTIME  v002 stable  Hold: 2 of 50.\n')
})

test('on a terminal a verdict takes the place of the last, a transition begins a line', async () => {
  const config = new ScriptedConfig()
  await using transport = await startTransport((server, log) => registerConfigApi(server, config, log))
  const changes = [verdict('Hold: 2 of 50.'), { stable: { version: 'v003', hash: '0' } }]
  const { out } = await watch(
    transport.url,
    () => {
      const next = changes.shift()
      if (next) setImmediate(() => config.become(next))
      return next === undefined
    },
    30,
  )
  assert.equal(out, 'TIME  v002 stable  No rol\r\u001b[2KTIME  v002 stable  Hold: \nTIME  v003 stable  Hold: \n')
})

test('machines get a line of JSON for each', async () => {
  const config = new ScriptedConfig()
  await using transport = await startTransport((server, log) => registerConfigApi(server, config, log))
  const { out } = await watch(transport.url, () => true, undefined, ['--json'])
  assert.equal(JSON.parse(out).etag, 'e1')
})

test('a process that goes away, or is about to, is asked again', async () => {
  const view = new ScriptedConfig().rollouts.view()
  const answers = [
    (reply: ServerResponse) => event(reply, { ...view, ...verdict('Once.') }),
    (reply: ServerResponse) => reply.destroy(),
    (reply: ServerResponse) =>
      reply.writeHead(503).end(JSON.stringify(new ParleyError('shutting_down').toBody('req_1'))),
    (reply: ServerResponse) => event(reply, { ...view, ...verdict('Twice.') }),
  ]
  const server = createServer((_request, reply) => answers.shift()?.(reply))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    const { out } = await watch(addressOf(server), (text) => text.includes('Twice'))
    assert.equal(out, 'TIME  v002 stable  Once.\nTIME  v002 stable  Twice.\n')
  } finally {
    server.close()
  }
})

function addressOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function event(reply: ServerResponse, view: RolloutView): void {
  reply.writeHead(200, { 'content-type': 'text/event-stream' })
  reply.end(`: hello\n\nevent: rollout\ndata: ${JSON.stringify(view)}\n\n`)
}
