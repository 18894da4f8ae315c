import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ParleyError } from '#errors.ts'
import { newId } from '#ids.ts'
import type { RpcAnswer } from '../../../test/support/rpc-client.ts'
import { ScriptedChat } from '../../../test/support/scripted-chat.ts'
import { startWebSockets } from '../../../test/support/web-socket-server.ts'

const hash = 'a'.repeat(64)
const codeOf = ({ error }: RpcAnswer) => [error?.code, error?.data?.code]

test('approve and reject are answered with the run', async () => {
  await using server = await startWebSockets(new ScriptedChat())
  const client = await server.connect()
  const [approved, edited, rejected] = [server.actions.open(), server.actions.open(), server.actions.open()]
  const change = { title: 'Ü' }
  assert.deepEqual((await client.call('approve', { run: approved.id, hash })).result, { ...approved.view })
  assert.equal((await client.call('approve', { run: edited.id, hash, edited: change })).result?.status, 'queued')
  assert.equal((await client.call('reject', { run: rejected.id, reason: 'Not now.' })).result?.status, 'rejected')
  assert.deepEqual(server.actions.asked, [
    ['approve', approved.id, { hash }],
    ['approve', edited.id, { hash, edited: change }],
    ['reject', rejected.id, 'Not now.'],
  ])
})

test('parameters that are wrong are named, and nothing is decided', async () => {
  await using server = await startWebSockets(new ScriptedChat())
  const client = await server.connect()
  const { id: run } = server.actions.open()
  const deep = JSON.parse(`${'{"a":'.repeat(65)}1${'}'.repeat(65)}`)
  const cases: [method: string, params: object, param: string][] = [
    ['approve', { hash }, 'run'],
    ['approve', { run }, 'hash'],
    ['approve', { run, hash: 'a' }, 'hash'],
    ['approve', { run: 'x'.repeat(201), hash }, 'run'],
    ['approve', { run, hash, edited: deep }, 'edited'],
    ['approve', { run, hash, reason: 'x' }, 'reason'],
    ['reject', { run }, 'reason'],
    ['reject', { run, reason: ' ' }, 'reason'],
    ['reject', { run, reason: 'x'.repeat(501) }, 'reason'],
    ['reject', { run, reason: 'a\u0007' }, 'reason'],
  ]
  for (const [method, params, param] of cases) {
    const { error } = await client.call(method, params)
    const found = [error?.code, error?.data?.code, error?.data?.param]
    assert.deepEqual(found, [-32602, 'invalid_request', param], `${method} ${JSON.stringify(params)}`)
  }
  assert.deepEqual(server.actions.asked, [])
})

test('what the actions refuse arrives with its code', async () => {
  await using server = await startWebSockets(new ScriptedChat())
  const client = await server.connect()
  const { id: run } = server.actions.open()
  for (const id of ['run_1', newId('turn'), newId('run')]) {
    assert.deepEqual(codeOf(await client.call('approve', { run: id, hash })), [-32000, 'run_not_found'])
    assert.deepEqual(codeOf(await client.call('reject', { run: id, reason: 'x' })), [-32000, 'run_not_found'])
  }
  assert.deepEqual(codeOf(await client.call('approve', { run, hash: 'b'.repeat(64) })), [-32000, 'approval_changed'])
  for (const code of ['forbidden', 'run_state', 'arguments_invalid'] as const) {
    server.actions.refusal = new ParleyError(code)
    assert.deepEqual(codeOf(await client.call('approve', { run, hash })), [-32000, code])
  }
})
