import assert from 'node:assert/strict'
import { it } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { atEndOfTick } from './end-of-tick.ts'

it('runs tasks in their order, and what they add in the same go', async () => {
  const ran: string[] = []
  atEndOfTick(() => {
    ran.push('first')
    atEndOfTick(() => ran.push('added'))
  })
  atEndOfTick(() => ran.push('second'))
  assert.deepEqual(ran, [])
  await nextTurn()
  assert.deepEqual(ran, ['first', 'second', 'added'])
})

it('takes tasks again after it has run', async () => {
  const ran: string[] = []
  atEndOfTick(() => ran.push('now'))
  await nextTurn()
  atEndOfTick(() => ran.push('later'))
  await nextTurn()
  assert.deepEqual(ran, ['now', 'later'])
})
