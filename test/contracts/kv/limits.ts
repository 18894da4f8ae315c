import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { key, kvLimits } from '#platform/kv/kv.ts'
import { program } from './program.ts'
import { type Check, somewhere } from './under-test.ts'

/** Each limit at its edge and one past it; and the end. */
export function limits(check: Check): void {
  check('limits hold at the edge and refuse one past it', async ({ kv }) => {
    const partition = randomUUID()
    const at = key(partition, 'at')
    const log = key(partition, 'log')
    const longest = kvLimits.keyLength - partition.length - 2
    assert.equal(await kv.put(key(partition, 'n'.repeat(longest)), Buffer.from('v')), 1)
    assert.throws(() => key(partition, 'n'.repeat(longest + 1)), RangeError)

    const edge = Buffer.alloc(kvLimits.valueBytes)
    const past = Buffer.alloc(kvLimits.valueBytes + 1)
    assert.equal(await kv.put(at, edge), 1)
    assert.equal(await kv.append(log, 0, edge), true)
    await assert.rejects(kv.put(at, past), { code: 'message_too_large' })
    await assert.rejects(kv.append(log, 1, past), { code: 'message_too_large' })
    await assert.rejects(kv.run(program, [at], ['[]', past]), { code: 'message_too_large' })
    await assert.rejects(kv.run(program, [at], ['[]', 'é'.repeat(kvLimits.valueBytes / 2 + 1)]), {
      code: 'message_too_large',
    })
    assert.deepEqual(await kv.run(program, [at], ['[]', 'é'.repeat(kvLimits.valueBytes / 2)]), [])

    assert.equal((await kv.read(log, -1, kvLimits.readEntries)).length, 1)
    for (const limit of [0, kvLimits.readEntries + 1, 1.5]) await assert.rejects(kv.read(log, -1, limit), RangeError)
    for (const after of [-2, 0.5, Number.NaN]) await assert.rejects(kv.read(log, after, 1), RangeError)

    const last = Number.MAX_SAFE_INTEGER - 1
    for (const position of [-1, 1.5, last + 1])
      await assert.rejects(kv.append(log, position, Buffer.from('')), RangeError)
    assert.equal(await kv.append(log, last, Buffer.from('last')), true)
    assert.deepEqual(await kv.read(log, last - 1, 1), [{ position: last, body: Buffer.from('last') }])

    await kv.signal(at, 'é'.repeat(kvLimits.payloadBytes / 2))
    await assert.rejects(kv.signal(at, `${'é'.repeat(kvLimits.payloadBytes / 2)}e`), RangeError)

    assert.equal(await kv.put(at, Buffer.from('v'), { ttlMs: 1_000_000_000_000 }), 2)
    for (const ttlMs of [0, -1, 1.5]) await assert.rejects(kv.put(at, Buffer.from('v'), { ttlMs }), RangeError)
    await assert.rejects(kv.put(at, Buffer.from('v'), { ifVersion: -1 }), RangeError)

    await assert.rejects(kv.run(program, [], ['[]']), RangeError)
    await assert.rejects(kv.run(program, [at, key(randomUUID(), 'at')], ['[]']), RangeError)
    await assert.rejects(kv.run(program, [at], ['[]', Number.NaN]), RangeError)
  })

  check('a partition without characters, or with braces, is no key', async ({ kv }) => {
    for (const partition of ['', 'a{b', 'a}b', 'a b', 'ä']) assert.throws(() => key(partition, 'name'), RangeError)
    assert.throws(() => key('partition', 'a\nb'), RangeError)
    assert.equal(await kv.put(key(randomUUID(), ''), Buffer.from('v')), 1)
  })

  check('a closed store refuses with state_unavailable', async ({ kv }) => {
    const at = somewhere()
    const onItsWay = kv.put(at, Buffer.from('v'))
    assert.equal(kv.reachable, true)
    await kv.close()
    await kv.close()
    assert.equal(await onItsWay, 1)
    assert.equal(kv.reachable, false)
    await assert.rejects(kv.get(at), { code: 'state_unavailable' })
    await assert.rejects(
      kv.listen(at, () => {}),
      { code: 'state_unavailable' },
    )
  })
}
