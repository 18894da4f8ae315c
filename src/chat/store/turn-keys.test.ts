import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { openMasterKeys } from '#conversations/master-keys.ts'
import { createVeil } from '#conversations/veil.ts'
import { chatAtHand, LEASE_MS, somebody } from '../../../test/support/chat-at-hand.ts'
import { dueDeadlines, noteDeadline } from './deadlines.ts'
import { deadlineEntry, deadlineShards, readDeadline } from './turn-keys.ts'

const turn = `turn_${'0'.repeat(31)}e`
const owner = { tenant: 'contoso', id: 'ana' }
const veilOf = async (id: string) =>
  createVeil(await openMasterKeys({ masterKeys: { source: 'environment', keys: [{ id, key: randomBytes(32) }] } }))

test('an entry of a deadline index names nobody, and is read by who has the master key', async () => {
  const veil = await veilOf('one')
  const { shard, unarchived, member } = deadlineEntry(veil, owner, turn)
  assert.deepEqual([shard, unarchived], ['{deadlines-14}veiled-turns', '{deadlines-14}veiled-unarchived'])
  for (const name of ['contoso', 'ana', turn]) assert.ok(!member.includes(name))
  assert.equal(deadlineEntry(veil, owner, turn).member, member)
  assert.deepEqual(readDeadline(veil, member), { ...owner, turn })
  assert.equal(readDeadline(await veilOf('two'), member), 'veiled')
  assert.equal(readDeadline(await veilOf('one'), member), undefined)
  assert.deepEqual(readDeadline(veil, JSON.stringify([turn, 'contoso', 'ana'])), { ...owner, turn })
  for (const nonsense of ['[', 'one.', '[]x']) assert.equal(readDeadline(veil, nonsense), undefined)
})

test('what a replica cannot read is left to those that can; what nobody can is dropped', async () => {
  await using hand = await chatAtHand({})
  const [shard = ''] = deadlineShards
  assert.ok(shard)
  const foreign = (await veilOf('elsewhere')).veil(JSON.stringify([turn, somebody.tenant, somebody.id]))
  await hand.store.run(noteDeadline, [shard], [foreign, 1])
  await hand.store.run(noteDeadline, [shard], ['test.nonsense', 1])
  await hand.pass(2 * LEASE_MS)
  hand.clock.advance(LEASE_MS)
  assert.deepEqual(await hand.store.run(dueDeadlines, [shard], [100]), [foreign])
})
