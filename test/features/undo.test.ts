import assert from 'node:assert/strict'
import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { startApp } from '../support/app.ts'
import { collect, nativeClient } from '../support/native-client.ts'

test('what a chat has done is undone over HTTP, once, and both runs say so', async (t) => {
  const dir = await mkdtemp(path.join(tmpdir(), 'parley-undo-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  await copyFile('config-versions/examples/undo.yaml', path.join(dir, 'v001.yaml'))
  await using app = await startApp({ variables: { PARLEY_CONFIG_DIR: dir } })
  const { call, conversation, stream } = nativeClient(app.url)

  const { body: actions } = await call('GET', '/api/v1/actions')
  const undoable = actions.items.filter(({ undo }: { undo: boolean }) => undo)
  assert.deepEqual(
    undoable.map(({ name }: { name: string }) => name),
    ['create_ticket'],
  )

  const events = await collect((await stream(await conversation('hermes'), 'open a ticket: printer on fire')).events)
  const asked = events.filter(({ type }) => type === 'run').map(({ data }) => data as { id: string })
  const id = asked.at(-1)?.id
  const settled = { prefer: 'wait=30' }
  const first = await call('POST', `/api/v1/runs/${id}/undo`, undefined, settled)
  const { status, action, undoes, result, attempts } = first.body
  assert.deepEqual([first.status, status, action, undoes], [200, 'succeeded', 'close_ticket', id])
  assert.deepEqual([result, attempts.length], [{ ticket: 1, status: 'closed' }, 1])
  assert.equal(first.headers.get('location'), `/api/v1/runs/${first.body.id}`)

  const again = await call('POST', `/api/v1/runs/${id}/undo`)
  assert.deepEqual([again.status, again.body.id], [200, first.body.id])
  const undone = await call('GET', `/api/v1/runs/${id}`)
  assert.deepEqual([undone.body.undoneBy, undone.body.status], [first.body.id, 'succeeded'])
  const { body: runs } = await call('GET', '/api/v1/runs?limit=10')
  assert.equal(runs.items.length, 2)

  // Nothing is named that would undo the closing; and no run is undone that there is not.
  const refused = await call('POST', `/api/v1/runs/${first.body.id}/undo`)
  assert.deepEqual([refused.status, refused.body.error.code], [409, 'run_state'])
  for (const other of [`run_${'0'.repeat(32)}`, 'run_1']) {
    assert.equal((await call('POST', `/api/v1/runs/${other}/undo`)).status, 404)
  }
})

test('a run that did not succeed is not undone', async (t) => {
  const dir = await mkdtemp(path.join(tmpdir(), 'parley-undo-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  await copyFile('config-versions/examples/undo.yaml', path.join(dir, 'v001.yaml'))
  await using app = await startApp({ variables: { PARLEY_CONFIG_DIR: dir } })
  const { call } = nativeClient(app.url)
  const closing = { arguments: { ticket: 99 } }
  const failed = await call('POST', '/api/v1/actions/close_ticket/runs', closing, { prefer: 'wait=30' })
  assert.equal(failed.body.status, 'failed')
  const refused = await call('POST', `/api/v1/runs/${failed.body.id}/undo`)
  assert.deepEqual([refused.status, refused.body.error.code], [409, 'run_state'])
})
