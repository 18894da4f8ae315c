import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { ParleyError } from '#errors.ts'
import { capturedLog } from '../../../test/support/captured-log.ts'
import { manualClock } from '../../../test/support/clock.ts'
import type { Written } from './chain.ts'
import { MOST_NOTED, Noting } from './noting.ts'

const entry = (id: string, tenant = 't'): Written => {
  return { tenant, id, at: 0, kind: 'run.approved', actor: null, subject: null, details: '{}' }
}

function atHand(fault: (ids: string[]) => Error | undefined = () => undefined) {
  const clock = manualClock()
  const { log, lines } = capturedLog()
  const kept: [string, string[]][] = []
  const keep = async (tenant: string, entries: readonly Written[]) => {
    const ids = entries.map(({ id }) => id)
    await setImmediate()
    const error = fault(ids)
    if (error) throw error
    kept.push([tenant, ids])
  }
  const pass = async (ms = 0) => {
    clock.advance(ms)
    for (let times = 0; times < 10; times++) await setImmediate()
  }
  return { noting: new Noting({ keep, clock, log }), kept, pass, lines, clock }
}

test('what is noted is kept in order, tenant by tenant', async () => {
  const { noting, kept, pass } = atHand()
  for (const [id, tenant] of [['1'], ['2', 'u'], ['3']] as const) assert.equal(noting.note(entry(id, tenant)), true)
  await pass()
  assert.deepEqual(kept.flatMap(([tenant, ids]) => ids.map((id) => tenant + id)).sort(), ['t1', 't3', 'u2'])
})

test('with the database away it waits, and is lost neither by one failure nor by many', async () => {
  let fault: Error | undefined = new ParleyError('database_unavailable')
  const { noting, kept, pass } = atHand(() => fault)
  noting.note(entry('1'))
  for (let times = 0; times < 3; times++) await pass(1000)
  noting.note(entry('2'))
  assert.deepEqual(kept, [])
  fault = undefined
  await pass(1000)
  assert.deepEqual(kept, [['t', ['1', '2']]])
  await noting.close()
  assert.equal(kept.length, 1)
})

test('beyond the bound it is refused, and what was accepted stays', async () => {
  let fault: Error | undefined = new ParleyError('database_unavailable')
  const { noting, kept, lines } = atHand(() => fault)
  for (let index = 0; index < MOST_NOTED; index++) assert.equal(noting.note(entry(String(index))), true)
  assert.equal(noting.note(entry('more')), false)
  assert.equal(lines.at(-1)?.id, 'more')
  fault = undefined
  await noting.close()
  assert.equal(kept.flatMap(([, ids]) => ids).length, MOST_NOTED)
})

test('one that is not taken is told of, and keeps none of the others', async () => {
  const { noting, kept, pass, lines } = atHand((ids) => (ids.includes('bad') ? new Error('no') : undefined))
  for (const id of ['1', 'bad', '2']) noting.note(entry(id))
  await pass()
  await pass()
  assert.deepEqual(
    kept.flatMap(([, ids]) => ids),
    ['1', '2'],
  )
  assert.deepEqual(
    lines.map(({ id }) => id),
    ['bad'],
  )
})

test('what cannot be kept at the end, or comes after it, is told of', async () => {
  const { noting, lines, clock } = atHand(() => new ParleyError('database_unavailable'))
  noting.note(entry('1'))
  await noting.close()
  assert.equal(lines.at(-1)?.entries, 1)
  assert.equal(noting.note(entry('2')), false)
  assert.equal(lines.at(-1)?.id, '2')
  assert.equal(clock.pending, 0)
})
