import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ConfigDiff } from '#config/diff.ts'
import { renderDiff } from './render-diff.ts'

const empty: ConfigDiff = { from: 'v1', to: 'v2', identical: false, changes: [], weakenings: [] }

test('two versions that say the same are the same', () => {
  assert.equal(renderDiff({ ...empty, identical: true }), 'v1 and v2 are the same.\n')
})

test('each change is a line: values before and after, entries by their names', () => {
  const changes: ConfigDiff['changes'] = [
    { kind: 'changed', section: 'description', name: '', path: '', before: 'a', after: 'b' },
    { kind: 'added', section: 'models', name: 'backup', path: '', after: { provider: 'offline' } },
    { kind: 'removed', section: 'actions', name: 'close', path: '' },
    { kind: 'changed', section: 'routes', name: 'default', path: 'stallTimeoutMs', before: 1, after: 2 },
    { kind: 'added', section: 'routes', name: 'default', path: 'models', after: 'x'.repeat(300) },
  ]
  assert.deepEqual(renderDiff({ ...empty, changes }).split('\n'), [
    '~ description: "a" → "b"',
    '+ models.backup',
    '- actions.close',
    '~ routes.default.stallTimeoutMs: 1 → 2',
    `+ routes.default.models: "${'x'.repeat(199)}…`,
    '',
  ])
})

test('texts are shown by words, with what stands next to a change', () => {
  const long = Array.from({ length: 30 }, (_, index) => `w${index}`).join(' ')
  const words: NonNullable<ConfigDiff['changes'][number]['words']> = [
    { kind: 'same', text: `${long} ` },
    { kind: 'removed', text: 'operations' },
    { kind: 'added', text: 'service' },
    { kind: 'same', text: ` team\n${long}` },
  ]
  const change = { kind: 'changed', section: 'specialists', name: 'apollo', path: 'instructions', words } as const
  assert.deepEqual(renderDiff({ ...empty, changes: [change] }).split('\n'), [
    '~ specialists.apollo.instructions',
    '    … w24 w25 w26 w27 w28 w29 [-operations-]{+service+} team',
    '    w0 w1 w2 w3 … ',
    '',
  ])
})

test('what guards less is said at the end', () => {
  const weakenings = [{ kind: 'limit', path: 'actions.a.timeoutMs', message: 'It rises.' }] as const
  assert.match(renderDiff({ ...empty, weakenings }), /second operator.*\n! actions\.a\.timeoutMs: It rises\.\n$/)
})
