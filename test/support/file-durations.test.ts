import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { test } from 'node:test'
import { known, longestFirst } from './file-durations.ts'

const root = resolve(import.meta.dirname, '../..')

test('what is known to take long is there', () => {
  for (const name of Object.keys(known)) assert.ok(existsSync(resolve(root, name)), name)
})

test('each file comes once, and the longest begin with work beside them', () => {
  const [longest, short] = ['test/contracts/queue-service-bus-faults.test.ts', 'src/ids.test.ts'].map((name) =>
    resolve(root, name),
  )
  const groups = [1, 2, 3, 4, 5, 6, 7].map((group) => `/elsewhere/${group}.test.mjs`)
  assert.ok(longest && short)
  const order = longestFirst([short, ...groups, longest])
  assert.deepEqual(order, [longest, ...groups.slice(0, 3), short, ...groups.slice(3)])
})
