import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startSurface } from '../../../test/support/completions.ts'
import { RelayingChat } from '../../../test/support/scripted-relay.ts'

test('specialists and routes are models', async () => {
  await using transport = await startSurface(new RelayingChat())
  const listed = await fetch(`${transport.url}/v1/models`)
  assert.equal(listed.status, 200)
  const { object, data } = (await listed.json()) as { object: string; data: { id: string }[] }
  assert.equal(object, 'list')
  assert.deepEqual(
    data.map(({ id }) => id),
    ['plain', 'helper', 'default'],
  )
  for (const model of data) {
    const one = await fetch(`${transport.url}/v1/models/${model.id}`)
    assert.deepEqual(await one.json(), model)
  }
  assert.deepEqual(data[1], {
    id: 'helper',
    object: 'model',
    created: 0,
    owned_by: 'parley',
    parley: { kind: 'specialist', config: 'v001' },
  })
})

test('a model that there is not is not found', async () => {
  await using transport = await startSurface(new RelayingChat())
  for (const id of ['nobody', '__proto__', '%F0%9F%99%82']) {
    const response = await fetch(`${transport.url}/v1/models/${id}`)
    assert.equal(response.status, 404)
    assert.equal(((await response.json()) as { error: { code: string } }).error.code, 'model_not_found')
  }
})
