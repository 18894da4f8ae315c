import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { openMasterKeys } from './master-keys.ts'
import { createVeil } from './veil.ts'

const given = (id: string) => ({ id, key: randomBytes(32) })
const veilOf = async (...keys: { id: string; key: Buffer }[]) =>
  createVeil(await openMasterKeys({ masterKeys: { source: 'environment', keys } }))
const NAMES = '["turn_1","contoso","ana"]'

test('the same text is veiled alike, on every replica, and says nothing of itself', async () => {
  const key = given('one')
  const [here, there] = [await veilOf(key), await veilOf(key)]
  const veiled = here.veil(NAMES)
  assert.equal(there.veil(NAMES), veiled)
  assert.match(veiled, /^one\.[\w-]+$/)
  assert.notEqual(here.veil(NAMES.replace('ana', 'ben')), veiled)
  assert.ok(!Buffer.from(veiled.slice(4), 'base64url').includes('contoso'))
  assert.equal(there.unveil(veiled), NAMES)
})

test('what an earlier master key veiled is read for as long as that is known', async () => {
  const [earlier, present] = [given('a.1'), given('a.2')]
  const veiled = (await veilOf(earlier)).veil(NAMES)
  const both = await veilOf(present, earlier)
  assert.equal(both.unveil(veiled), NAMES)
  assert.match(both.veil(NAMES), /^a\.2\./)
  assert.equal((await veilOf(present)).unveil(veiled), undefined)
})

test('what was never veiled is refused', async () => {
  const veil = await veilOf(given('one'))
  assert.throws(() => veil.unveil(`${veil.veil(NAMES).slice(0, -4)}AAAA`), { code: 'sealed_unreadable' })
  assert.throws(() => veil.unveil('one.'), { code: 'sealed_unreadable' })
  assert.equal(veil.unveil('no dot at all'), undefined)
})
