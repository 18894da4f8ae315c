import assert from 'node:assert/strict'
import { test } from 'node:test'
import { alice, bob, type Containers, grounds, saying } from './grounds.ts'

const changed = 'was changed: versions are immutable, give the new one a new name'

/** A name keeps its bytes. */
export function immutableCases(engine: string, containers: () => Promise<Containers>): void {
  test(`${engine}: what is uploaded is known to every replica, and entered in the register`, async () => {
    await using at = await grounds(await containers())
    await at.versions.put('v1.json', saying('one'))
    await using first = await at.replica('first')
    await using second = await at.replica('second')
    const heard: string[] = []
    second.versions.onChange(({ name }) => heard.push(name))
    await at.versions.put('v2.json', saying('two'))
    await first.looks()
    await second.looks()
    assert.deepEqual(heard, ['v2'])
    for (const { versions } of [first, second]) {
      const [entry] = versions.list()
      assert.equal(versions.newest().document.description, 'two')
      assert.deepEqual([entry?.name, entry?.status, entry?.uploadedBy, entry?.faults], ['v2', 'sound', null, []])
    }
    const record = await at.rollout.get('versions/v2.json')
    assert.ok(record && record !== 'unchanged')
    assert.equal(JSON.parse(record.bytes.toString()).hash, first.versions.newest().hash)
  })

  test(`${engine}: other bytes under a known name are refused by every replica, and after every restart`, async () => {
    await using at = await grounds(await containers())
    await at.versions.put('v1.json', saying('one'))
    await at.versions.put('v2.json', saying('two'))
    {
      await using running = await at.replica('old')
      await at.versions.put('v2.json', saying('forged'))
      await running.looks()
      assert.equal(running.versions.newest().document.description, 'two')
      assert.deepEqual(running.faults(), [`v2.json ${changed}`])
      assert.equal(running.versions.list()[0]?.status, 'sound')
    }
    await using again = await at.replica('old')
    assert.equal(again.versions.newest().document.description, 'two')
    assert.deepEqual(again.faults(), [`v2.json ${changed}`])
    await using fresh = await at.replica('new')
    assert.equal(fresh.versions.newest().name, 'v1')
    assert.equal(fresh.versions.get('v2'), undefined)
    assert.deepEqual(fresh.faults(), [`v2.json ${changed}`])
    await at.versions.put('v2.json', saying('two'))
    await fresh.looks()
    assert.equal(fresh.versions.newest().document.description, 'two')
    assert.deepEqual(fresh.faults(), [])
  })

  test(`${engine}: of two who push a name at the same instant exactly one wins, everywhere`, async () => {
    await using at = await grounds(await containers())
    await at.versions.put('v1.json', saying('one'))
    await using first = await at.replica('first')
    await using second = await at.replica('second')
    const outcomes = await Promise.allSettled([
      first.versions.push(alice, 'v2', saying('of alice'), 'json'),
      second.versions.push(bob, 'v2', saying('of bob'), 'json'),
    ])
    assert.deepEqual(outcomes.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
    const lost = outcomes.find((outcome) => outcome.status === 'rejected')
    assert.equal(lost?.reason.code, 'config_exists')
    const winner = outcomes[0]?.status === 'fulfilled' ? 'Alice' : 'Bob'
    await first.looks()
    await second.looks()
    for (const { versions } of [first, second, await at.replica('third')]) {
      assert.equal(versions.get('v2')?.document.description, `of ${winner.toLowerCase()}`)
      assert.equal(versions.list()[0]?.uploadedBy?.name, winner)
      await versions.close()
    }
  })

  test(`${engine}: two replicas that find other bytes at the same instant take the same ones`, async () => {
    await using at = await grounds(await containers())
    await at.versions.put('v1.json', saying('one'))
    await using first = await at.replica('first')
    await using second = await at.replica('second')
    await at.versions.put('v2.json', saying('two'))
    const looking = first.looks()
    await at.versions.put('v2.json', saying('another'))
    await Promise.all([looking, second.looks()])
    await Promise.all([first.looks(), second.looks()])
    const hashes = [first, second].map(({ versions }) => versions.get('v2')?.hash).filter((hash) => hash !== undefined)
    assert.ok(hashes.length > 0 || first.faults().length > 0)
    assert.ok(new Set(hashes).size <= 1)
  })

  test(`${engine}: a register that was lost is written again by who remembers`, async () => {
    await using at = await grounds(await containers())
    await at.versions.put('v1.json', saying('one'))
    await (await at.replica())[Symbol.asyncDispose]()
    assert.equal(await at.rollout.delete('versions/v1.json'), true)
    await at.versions.put('v1.json', saying('forged'))
    await using again = await at.replica()
    assert.equal(again.versions.newest().document.description, 'one')
    await using fresh = await at.replica('fresh').catch((error) => ({
      code: error.code,
      [Symbol.asyncDispose]: async () => {},
    }))
    assert.deepEqual('code' in fresh && fresh.code, 'config_invalid')
  })

  test(`${engine}: what the register says on the contrary is believed`, async () => {
    await using at = await grounds(await containers())
    await at.versions.put('v1.json', saying('one'))
    await (await at.replica('first'))[Symbol.asyncDispose]()
    await at.rollout.delete('versions/v1.json')
    await at.versions.put('v1.json', saying('other'))
    await (await at.replica('second'))[Symbol.asyncDispose]()
    await using again = await at.replica('first')
    assert.equal(again.versions.newest().document.description, 'other')
  })
}
