import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SettlementTurns } from './settlement-turns.ts'

test('what is alike begins in one tick, what differs in the next, in the order in which it was asked for', async () => {
  const turns = new SettlementTurns()
  const begun: string[][] = []
  let tick: string[] | undefined
  const begin = (name: string) => async () => {
    if (!tick) {
      const now: string[] = []
      tick = now
      begun.push(now)
      // Runs after what the turns do with this very tick.
      process.nextTick(() => {
        tick = undefined
      })
    }
    tick.push(name)
    return name
  }
  const results = await Promise.all([
    turns.run('complete', begin('a')),
    turns.run('complete', begin('b')),
    turns.run('abandon', begin('c')),
    turns.run('complete', begin('d')),
    turns.run('complete', begin('e')),
    turns.run('bury', begin('f')),
  ])
  assert.deepEqual(results, ['a', 'b', 'c', 'd', 'e', 'f'])
  assert.deepEqual(begun, [['a', 'b'], ['c'], ['d', 'e'], ['f']])
})

test('a settlement that fails fails alone', async () => {
  const turns = new SettlementTurns()
  const fail = async () => {
    throw new Error('lost')
  }
  const results = await Promise.allSettled([
    turns.run('complete', fail),
    turns.run('abandon', fail),
    turns.run('complete', async () => 'done'),
  ])
  assert.deepEqual(
    results.map(({ status }) => status),
    ['rejected', 'rejected', 'fulfilled'],
  )
})
