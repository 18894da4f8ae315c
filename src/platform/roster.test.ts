import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Roster } from './roster.ts'

const [ana, bob, cleo] = [{ name: 'ana' }, { name: 'bob' }, { name: 'cleo' }]

test('who joins is there until they leave, once, whoever has their place by then', () => {
  const roster = new Roster<{ name: string }>()
  const leave = roster.add(ana)
  roster.add(bob)
  assert.deepEqual([...roster], [ana, bob])
  assert.equal(leave(), true)
  roster.add(cleo)
  assert.equal(leave(), false)
  assert.deepEqual(new Set(roster), new Set([bob, cleo]))
  assert.equal(roster.size, 2)
})

test('who leaves while it is iterated is left out', () => {
  const roster = new Roster<{ name: string }>()
  const seen: string[] = []
  roster.add(ana)
  const leave = roster.add(bob)
  roster.add(cleo)
  for (const { name } of roster) {
    seen.push(name)
    leave()
  }
  assert.deepEqual(seen, ['ana', 'cleo'])
})

test('places are taken again: as many as were there at once', () => {
  const roster = new Roster<object>()
  for (let round = 0; round < 100; round++) {
    const leaves = [roster.add({}), roster.add({})]
    assert.equal(roster.size, 2)
    for (const leave of leaves) leave()
  }
  assert.deepEqual([roster.size, [...roster]], [0, []])
})
