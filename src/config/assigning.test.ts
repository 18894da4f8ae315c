import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Role } from '#identity/principal.ts'
import { chatConfig } from '../../test/support/chat-config.ts'
import { ScriptedServing } from '../../test/support/scripted-serving.ts'
import { assignFor, type Has, pickVersion, resolveFor } from './assigning.ts'
import type { ConfigVersion } from './document.ts'

const version = (name: string): ConfigVersion => ({ name, hash: name, document: chatConfig({}) })
const [v1, v2, v3] = [version('v1'), version('v2'), version('v3')]
const inAll: Has = () => true
const only =
  (...versions: ConfigVersion[]): Has =>
  (config) =>
    versions.includes(config)
const shown = ({ config, arm, cohort }: ReturnType<typeof assignFor>) => [config.name, arm, cohort]

function rollout(drawn: 'stable' | 'canary') {
  const serving = new ScriptedServing(v1, v2, [v3])
  serving.draw = () => drawn
  return serving
}

test('the draw holds wherever the version has what is asked for', () => {
  assert.deepEqual(shown(assignFor(rollout('canary'), 'unit', inAll)), ['v2', 'canary', 'r1.0'])
  assert.deepEqual(shown(assignFor(rollout('stable'), 'unit', inAll)), ['v1', 'stable', 'r1.0'])
})

test('what one of the two versions alone has counts for neither arm, whatever was drawn', () => {
  assert.deepEqual(shown(assignFor(rollout('stable'), 'unit', only(v1))), ['v1', 'stable', ''])
  assert.deepEqual(shown(assignFor(rollout('canary'), 'unit', only(v2))), ['v2', 'canary', ''])
})

test('what one version alone has is served from it, and not counted', () => {
  assert.deepEqual(shown(assignFor(rollout('canary'), 'unit', only(v1))), ['v1', 'stable', ''])
  assert.deepEqual(shown(assignFor(rollout('stable'), 'unit', only(v2))), ['v2', 'canary', ''])
  assert.deepEqual(shown(assignFor(rollout('stable'), 'unit', only(v3))), ['v1', 'stable', 'r1.0'])
})

test('a pin to what only the candidate has lasts as long as the rollout', () => {
  const serving = rollout('stable')
  const pin = { config: 'v2', arm: 'canary', cohort: '' } as const
  assert.deepEqual(shown(resolveFor(serving, pin, only(v2))), ['v2', 'canary', ''])
  serving.settle(v1, 1)
  assert.deepEqual(shown(resolveFor(serving, pin, only(v2))), ['v1', 'stable', ''])
})

test('what no served version has any more goes on with the version that it was pinned to', () => {
  const serving = new ScriptedServing(v2, undefined, [v1])
  const pin = { config: 'v1', arm: 'stable', cohort: '' } as const
  assert.deepEqual(shown(resolveFor(serving, pin, only(v1))), ['v1', 'stable', ''])
  assert.deepEqual(shown(resolveFor(serving, pin, inAll)), ['v2', 'stable', ''])
  assert.deepEqual(shown(resolveFor(serving, { ...pin, config: 'v0' }, only(v1))), ['v2', 'stable', ''])
  serving.rolledBack.set('v1', 1)
  assert.deepEqual(shown(resolveFor(serving, pin, only(v1))), ['v2', 'stable', ''])
})

test('who operates picks a version, and gets it even where it lacks what is asked for', () => {
  const serving = rollout('stable')
  for (const role of ['Config.Operator', 'Admin'] satisfies Role[]) {
    assert.deepEqual(shown(pickVersion(serving, { id: 'olga', roles: [role] }, 'v3')), ['v3', 'stable', 'picked'])
  }
  const pin = { config: 'v3', arm: 'stable', cohort: 'picked' } as const
  assert.deepEqual(shown(resolveFor(serving, pin, only(v1))), ['v3', 'stable', 'picked'])
  assert.throws(() => pickVersion(serving, { id: 'olga', roles: ['Chat.User'] }, 'v3'), { code: 'forbidden' })
  assert.throws(() => pickVersion(serving, { id: 'olga', roles: ['Admin'] }, 'v9'), { code: 'config_not_found' })
})
