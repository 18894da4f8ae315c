import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { ParleyError } from '#errors.ts'
import { capturedLog } from '../../../test/support/captured-log.ts'
import { manualClock } from '../../../test/support/clock.ts'
import type { Bill } from './bill.ts'
import { MOST_RETAINED, Writing } from './writing.ts'

const away = new ParleyError('database_unavailable')
const DAY_MS = 86_400_000
const bill = (turn: string, { tenant = 't', at = 0 } = {}): Bill => ({
  tenant,
  turn,
  entries: [
    {
      ...{
        turn,
        at,
        segment: 0,
        user: 'ana',
        groups: [],
        specialist: 'helper',
        config: 'v1',
        arm: 'stable',
        model: 'm',
      },
      ...{ inputTokens: 1, outputTokens: 1, costUsd: 0.1, outcome: 'completed', estimated: false },
    },
  ],
})
/** What each of them is made of. */
const turnsOf = (bills: readonly Bill[]) => bills.map(({ entries }) => entries.map(({ turn }) => turn).join(' '))

function atHand(fault: (turns: string[]) => Error | undefined = () => undefined) {
  const clock = manualClock()
  const { log, lines } = capturedLog()
  const kept: string[][] = []
  const keep = async (bills: readonly Bill[]) => {
    const turns = turnsOf(bills)
    const error = fault(turns)
    if (error) throw error
    kept.push(turns)
  }
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 100) {
      clock.advance(100)
      for (let times = 0; times < 5; times++) await setImmediate()
    }
  }
  return { writing: new Writing({ store: { keep }, clock, log }), kept, pass, lines, clock }
}

test('what comes together is kept together', async () => {
  const { writing, kept, pass } = atHand()
  const all = Promise.all([writing.keep(bill('a')), writing.keep(bill('b'))])
  writing.retain(bill('c'))
  assert.deepEqual(kept, [])
  await pass(100)
  await all
  assert.deepEqual(kept, [['a', 'b', 'c']])
  await pass(5000)
  assert.equal(kept.length, 1)
})

test('what nobody tells again is one bill, by tenant and day, up to a hundred', async () => {
  const { writing, kept, pass } = atHand()
  for (const each of [bill('a'), bill('b', { tenant: 'u' }), bill('c'), bill('d', { at: DAY_MS - 1 })])
    writing.retain(each)
  writing.retain(bill('e', { at: DAY_MS }))
  await pass(100)
  assert.deepEqual(kept, [['a c d', 'b', 'e']])
  for (let index = 0; index < 101; index++) writing.retain(bill(String(index)))
  await pass(100)
  assert.deepEqual(
    kept[1]?.map((turns) => turns.split(' ').length),
    [100, 1],
  )
})

test('a bill that may have been kept stays as it is, whatever comes while the store is away', async () => {
  const names: string[] = []
  let fault: Error | undefined = away
  const clock = manualClock()
  const keep = async (bills: readonly Bill[]) => {
    names.push(...bills.map(({ turn, entries }) => `${turn}: ${entries.length}`))
    if (fault) throw fault
  }
  const writing = new Writing({ store: { keep }, clock, log: capturedLog().log })
  writing.retain(bill('a'))
  writing.retain(bill('b'))
  clock.advance(100)
  await setImmediate()
  writing.retain(bill('c'))
  fault = undefined
  await writing.close()
  assert.deepEqual(names, ['a: 2', 'a: 2', 'c: 1'])
})

test('of bills that were one, those that the store takes are kept', async () => {
  const { writing, kept, pass, lines } = atHand((all) => (all.join(' ').includes('bad') ? new Error('no') : undefined))
  for (const turn of ['a', 'bad', 'b']) writing.retain(bill(turn))
  await pass(100)
  assert.deepEqual(kept, [['a'], ['b']])
  assert.deepEqual(
    lines.map(({ turn }) => turn),
    ['bad'],
  )
})

test('with the store away who tells again is refused, what nobody tells again waits for it', async () => {
  let fault: Error | undefined = away
  const { writing, kept, pass } = atHand(() => fault)
  const refused = assert.rejects(writing.keep(bill('a')), { code: 'database_unavailable' })
  writing.retain(bill('b'))
  await pass(100)
  await refused
  await pass(3000)
  fault = undefined
  await pass(1000)
  assert.deepEqual(kept, [['b']])
})

test('one that the store does not take fails alone, and is told of', async () => {
  const { writing, kept, pass, lines } = atHand((turns) => (turns.includes('bad') ? new Error('no') : undefined))
  const bad = assert.rejects(writing.keep(bill('bad')), /no/)
  const good = writing.keep(bill('good'))
  await pass(100)
  await Promise.all([bad, good])
  assert.deepEqual(kept, [['good']])
  assert.deepEqual(
    lines.map(({ turn, level }) => [turn, level]),
    [['bad', 50]],
  )
})

test('beyond the bound the oldest are lost, and it is said how many', async () => {
  let fault: Error | undefined = away
  const { writing, kept, pass, lines } = atHand(() => fault)
  for (let index = 0; index < MOST_RETAINED + 3; index++) writing.retain(bill(String(index)))
  await pass(200)
  fault = undefined
  await writing.close()
  const all = kept.flatMap((bills) => bills.flatMap((turns) => turns.split(' ')))
  // They are kept by the hundred.
  assert.equal(all.length, MOST_RETAINED - 97)
  assert.equal(all[0], '100')
  assert.equal(lines.at(-1)?.bills, 100)
})

test('closing keeps what waits, and tells what cannot be kept any more', async () => {
  const { writing, kept, lines } = atHand()
  const last = writing.keep(bill('a'))
  await writing.close()
  await last
  assert.deepEqual([kept, lines], [[['a']], []])
  const gone = atHand(() => away)
  gone.writing.retain(bill('b'))
  await gone.writing.close()
  assert.equal(gone.lines.at(-1)?.bills, 1)
  gone.writing.retain(bill('c'))
  assert.equal(gone.lines.length, 2)
  await assert.rejects(gone.writing.keep(bill('d')), { code: 'shutting_down' })
  assert.equal(gone.clock.pending, 0)
})

test('a process that is about to end keeps what it is told at once', async () => {
  const { writing, kept } = atHand()
  const first = writing.keep(bill('a'))
  writing.hurry()
  await first
  await writing.keep(bill('b'))
  assert.deepEqual(kept, [['a'], ['b']])
})

test('who tells again is not kept waiting by a store that says nothing, and what waits behind it is not kept twice', async () => {
  const { promise: silence, resolve } = Promise.withResolvers<void>()
  const clock = manualClock()
  const kept: string[] = []
  const keep = async (bills: readonly Bill[]) => {
    if (kept.length === 0) await silence
    kept.push(...turnsOf(bills))
  }
  const writing = new Writing({ store: { keep }, clock, log: capturedLog().log })
  const pass = async (ms: number) => {
    clock.advance(ms)
    for (let times = 0; times < 5; times++) await setImmediate()
  }
  const first = assert.rejects(writing.keep(bill('a')), { code: 'database_unavailable' })
  await pass(100)
  const second = assert.rejects(writing.keep(bill('b')), { code: 'database_unavailable' })
  await pass(14_900)
  await pass(100)
  await Promise.all([first, second])
  const again = writing.keep(bill('b'))
  resolve()
  await pass(100)
  await pass(100)
  await again
  assert.deepEqual(kept, ['a', 'b'])
  await writing.close()
  assert.equal(clock.pending, 0)
})
