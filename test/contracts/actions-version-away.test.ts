import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ParleyError } from '../../src/errors.ts'
import { actionSpec, callOf, openGround, settledRun, versionOf } from '../support/runs-at-hand.ts'
import { ScriptedServing } from '../support/scripted-serving.ts'

const plain = { do_it: actionSpec('do') }

test('a run whose version is out of reach waits for it, and is not done by another', async () => {
  await using ground = await openGround()
  const version = versionOf(plain)
  const serving = new ScriptedServing(version)
  const get = serving.get.bind(serving)
  let sought = 0
  serving.get = (name) => {
    sought += 1
    if (sought === 1) throw new ParleyError('blob_unavailable')
    return get(name)
  }
  const done: number[] = []
  const act = async () => {
    done.push(sought)
    return 'done'
  }
  await using actions = ground.actions({ actions: plain, functions: { do: act }, serving })
  const run = await settledRun(actions, await actions.dispatch(callOf(version, 'do_it')))
  assert.deepEqual([run.status, done], ['succeeded', [2]])
})
