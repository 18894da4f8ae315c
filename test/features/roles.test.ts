import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { startApp } from '../support/app.ts'
import { chatConfig, upstreamModel } from '../support/chat-config.ts'
import { nativeClient } from '../support/native-client.ts'
import { startReplica } from '../support/replica.ts'
import { startSharedEngines } from '../support/shared-engines.ts'
import { startUpstream } from '../support/upstream.ts'

test('a replica that only serves asks one that only executes, over the broker; the worker serves nothing but health', async () => {
  await using opened = new AsyncDisposableStack()
  const engines = opened.use(await startSharedEngines())
  const upstream = await startUpstream(({ messages }) =>
    JSON.stringify(messages).includes('"role":"tool"')
      ? { tokens: 3 }
      : { toolCalls: [{ name: 'calculate', arguments: '{"expression":"6*7"}' }] },
  )
  opened.defer(() => upstream.close())
  const folder = await mkdtemp(path.join(tmpdir(), 'parley-roles-'))
  opened.defer(() => rm(folder, { recursive: true, force: true }))
  const config = chatConfig({ primary: upstreamModel('primary', upstream.baseUrl) })
  await writeFile(path.join(folder, 'v1.json'), JSON.stringify(config))
  const shared = { ...engines.variables, PARLEY_EGRESS_HOSTS: upstream.host }
  const api = opened.use(await startApp({ config, variables: { ...shared, PARLEY_ROLE: 'api' } }))
  const worker = opened.use(await startReplica({ ...shared, PARLEY_CONFIG_DIR: folder, PARLEY_ROLE: 'worker' }))

  const client = nativeClient(api.url)
  const conversation = await client.conversation('helper')
  const { events } = await client.stream(conversation, 'what is six times seven?')
  const runs: string[] = []
  for await (const { type, data } of events) if (type === 'run') runs.push(String(Object(data).status))
  assert.equal(runs.at(-1), 'succeeded')
  assert.equal((await fetch(`${worker.url}/health/ready`)).status, 200)
  assert.equal((await fetch(`${worker.url}/api/v1/conversations`)).status, 404)
  assert.equal(await worker.terminate(), 0)
})
