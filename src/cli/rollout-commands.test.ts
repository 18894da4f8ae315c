import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { ParleyError } from '#errors.ts'
import { registerConfigApi } from '#transport/config-api.ts'
import { cliRun } from '../../test/support/cli-run.ts'
import { ScriptedConfig } from '../../test/support/scripted-config.ts'
import { startTransport } from '../../test/support/transport-server.ts'
import { renderLine } from './render-rollout.ts'

test('a state that was set back is said to be, with what can be done, and is taken by its epoch', async () => {
  const config = new ScriptedConfig()
  await using transport = await startTransport((server, log) => registerConfigApi(server, config, log))
  const run = (...args: string[]) => cliRun(transport.url, undefined, ['config', ...args])
  const diverged = { epoch: 5, at: 0, stable: { version: 'v001', hash: 'h' }, candidate: null }
  config.become({ reachable: false, diverged })
  const { out } = await run('status')
  assert.match(out, /store {4}its state was set back to epoch 5 \(v001 stable, of 1970-01-01 00:00:00Z\)/)
  assert.match(out, /config restore --take 5 takes what is there/)
  assert.doesNotMatch(out, /out of reach/)
  assert.match(
    renderLine(config.rollouts.view()),
    /\(store: its state was set back to epoch 5/,
    'who watches is told, too',
  )
  assert.equal((await run('restore', '--take', '5', '--reason', 'A backup.')).code, 0)
  assert.equal((await run('restore', '--take', 'five')).code, 2)
  assert.deepEqual(config.asked, [['restore', 'Caller', { reason: 'A backup.', ifMatch: 'e2', take: 5 }]])
})

test('a push that is done is said to be, also where the difference cannot be had', async (t) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'parley-cli-'))
  t.after(() => rm(folder, { recursive: true }))
  const file = path.join(folder, 'v003.yaml')
  await writeFile(file, 'a: 1')
  const config = Object.assign(new ScriptedConfig(), {
    diff() {
      throw new ParleyError('blob_unavailable')
    },
  })
  await using transport = await startTransport((server, log) => registerConfigApi(server, config, log))
  const { code, out } = await cliRun(transport.url, undefined, ['config', 'push', file])
  assert.equal(code, 0)
  assert.match(out, /^v003 is pushed .+\nWhat it changes could not be told: The blob store is out of reach\.\n$/)
})
