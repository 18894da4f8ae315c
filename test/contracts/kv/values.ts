import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { key, kvLimits } from '#platform/kv/kv.ts'
import { program, steps } from './program.ts'
import { type Check, eventually, somewhere } from './under-test.ts'

/** What the port promises of values. */
export function values(check: Check): void {
  check('a value is written, read, replaced and deleted under its version', async ({ kv, other }) => {
    const at = somewhere()
    assert.equal(await kv.get(at), undefined)
    assert.equal(await kv.put(at, Buffer.from('one'), { ifVersion: 0 }), 1)
    assert.equal(await kv.put(at, Buffer.from('again'), { ifVersion: 0 }), undefined)
    assert.deepEqual(await other.get(at), { value: Buffer.from('one'), version: 1 })
    assert.equal(await other.put(at, Buffer.from('two'), { ifVersion: 1 }), 2)
    assert.equal(await kv.put(at, Buffer.from('late'), { ifVersion: 1 }), undefined)
    assert.equal(await kv.put(at, Buffer.from('three')), 3)
    assert.deepEqual(await kv.get(at), { value: Buffer.from('three'), version: 3 })
    assert.equal(await kv.delete(at, { ifVersion: 2 }), false)
    assert.equal(await kv.delete(at, { ifVersion: 3 }), true)
    assert.equal(await kv.delete(at), false)
    assert.equal(await kv.get(at), undefined)
    assert.equal(await kv.put(at, Buffer.from('new')), 1)
  })

  check('of twenty that create the same value one wins, and of twenty that replace it', async ({ kv, other }) => {
    const at = somewhere()
    for (const ifVersion of [0, 1, 2]) {
      const written = await Promise.all(
        Array.from({ length: 20 }, (_, n) => (n % 2 ? kv : other).put(at, Buffer.from(String(n)), { ifVersion })),
      )
      assert.deepEqual(
        written.filter((version) => version !== undefined),
        [ifVersion + 1],
      )
      const winner = written.findIndex((version) => version !== undefined)
      assert.deepEqual(await kv.get(at), { value: Buffer.from(String(winner)), version: ifVersion + 1 })
    }
  })

  check('what has a time to live is gone after it, and starts anew', async (store) => {
    const { kv } = store
    const written = async (ttlMs: number) => {
      const partition = randomUUID()
      const [value, log, kept] = [key(partition, 'value'), key(partition, 'log'), key(partition, 'kept')]
      const beganAt = performance.now()
      await kv.put(value, Buffer.from('v'), { ttlMs })
      await kv.append(log, 7, Buffer.from('e'), { ttlMs })
      await kv.append(log, 8, Buffer.from('f'))
      await kv.put(kept, Buffer.from('k'), { ttlMs })
      await kv.put(kept, Buffer.from('k'))
      const seen = [(await kv.get(value))?.version, (await kv.read(log, -1, 10)).length]
      return { value, log, kept, seen, inTime: performance.now() - beganAt < ttlMs }
    }
    let ttlMs = 150
    let all = await written(ttlMs)
    // On a machine that stalls it may be over before it was looked at.
    while (!all.inTime) {
      ttlMs *= 2
      all = await written(ttlMs)
    }
    const { value, log, kept, seen } = all
    assert.deepEqual(seen, [1, 2])

    await eventually(
      store,
      async () => (await kv.get(value)) === undefined && (await kv.read(log, -1, 10)).length === 0,
    )
    assert.equal((await kv.get(kept))?.version, 2)
    assert.equal(await kv.delete(value), false)
    assert.equal(await kv.put(value, Buffer.from('new'), { ifVersion: 0 }), 1)
    assert.equal(await kv.append(log, 0, Buffer.from('new')), true)
    assert.deepEqual(await kv.read(log, -1, 10), [{ position: 0, body: Buffer.from('new') }])
  })

  check('bytes come back as they went in: none, all there are, a mebibyte of them', async ({ kv }) => {
    const partition = randomUUID()
    const bodies = [Buffer.alloc(0), Buffer.from(Array.from({ length: 256 }, (_, n) => n)), noise(kvLimits.valueBytes)]
    for (const [n, body] of bodies.entries()) {
      const [value, log] = [key(partition, `value-${n}`), key(partition, `log-${n}`)]
      await kv.put(value, body)
      await kv.append(log, 0, body)
      assert.ok((await kv.get(value))?.value.equals(body))
      assert.ok((await kv.read(log, -1, 1))[0]?.body.equals(body))
    }
    const text = 'grüße \u0000 日本 🎈'
    const reply = await kv.run(
      program,
      [key(partition, 'text')],
      [steps({ do: 'set', key: 0, field: 'f', value: 0 }, { do: 'get', key: 0, field: 'f' }), text],
    )
    assert.deepEqual(reply, [Buffer.from(text)])
  })

  check('a view into a larger buffer is written as the part it shows', async ({ kv }) => {
    const at = somewhere()
    await kv.put(at, new Uint8Array(Buffer.from('0123456789').buffer, Buffer.from('0123456789').byteOffset, 0))
    const large = new TextEncoder().encode('0123456789')
    await kv.put(at, large.subarray(3, 6))
    assert.equal((await kv.get(at))?.value.toString(), '345')
  })
}

function noise(bytes: number): Buffer {
  const body = Buffer.allocUnsafe(bytes)
  for (let at = 0; at < bytes; at++) body[at] = (at * 31) ^ (at >> 8)
  return body
}
