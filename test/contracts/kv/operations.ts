import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { ParleyError } from '#errors.ts'
import { key, type Operation, type Reply } from '#platform/kv/kv.ts'
import { type ProgramStep, program, steps } from './program.ts'
import { samples } from './samples.ts'
import { type Check, eventually, somewhere } from './under-test.ts'

/** What the port promises of operations. */
export function operations(check: Check): void {
  check('an operation is atomic: two sums kept by many clients stay equal', async ({ kv, other }) => {
    const partition = randomUUID()
    const keys = [key(partition, 'a'), key(partition, 'b')]
    const both = steps(
      { do: 'increment', key: 0, field: 'sum', by: 3 },
      { do: 'increment', key: 1, field: 'sum', by: 3 },
    )
    const replies = await Promise.all(
      Array.from({ length: 200 }, (_, n) => (n % 2 ? kv : other).run(program, keys, [both])),
    )
    for (const [a, b] of replies) assert.equal(a, b)
    assert.equal(new Set(replies.map(([a]) => a)).size, 200)
  })

  check('an operation that fails takes no other of its tick with it', async ({ kv }) => {
    const partition = randomUUID()
    const [value, log] = [key(partition, 'value'), key(partition, 'log')]
    const results = await Promise.allSettled([
      kv.put(value, Buffer.from('before')),
      kv.append(value, 0, Buffer.from('a value is no log')),
      kv.put(value, Buffer.from('after')),
      kv.run(undecodable, [value], []),
      kv.append(log, 0, Buffer.from('entry')),
      kv.append(value, 1, Buffer.from('still no log')),
    ])
    assert.deepEqual(
      results.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled', 'rejected', 'fulfilled', 'rejected'],
    )
    for (const result of results) if (result.status === 'rejected') assert.equal(codeOf(result.reason), 'internal')
    assert.deepEqual(await kv.get(value), { value: Buffer.from('after'), version: 2 })
    assert.equal((await kv.read(log, -1, 10)).length, 1)
  })

  check('steps answer alike on every engine', async ({ kv }) => {
    const partition = randomUUID()
    const keys = ['record', 'log', 'index'].map((name) => key(partition, name))
    for (const { name, run, values = [], reply } of samples) {
      const answer = await kv.run(program, keys, [steps(...run), ...values])
      assert.deepEqual(answer, reply, name)
    }
  })

  check('the clock of an operation is that of the store', async (store) => {
    const at = somewhere()
    const [before] = await store.kv.run(readClock, [at], [])
    await store.pass(30)
    const [after] = await store.kv.run(readClock, [at], [])
    assert.ok(Number(before) > Date.UTC(2025, 0))
    assert.ok(Number(after) - Number(before) >= 29, `${after} - ${before}`)
  })

  check('a key can expire within an operation, and be kept after all', async (store) => {
    const partition = randomUUID()
    const keys = [key(partition, 'goes'), key(partition, 'stays')]
    const set = [0, 1].map((at): ProgramStep => ({ do: 'increment', key: at, field: 'n', by: 1 }))
    const expire = [0, 1].map((at): ProgramStep => ({ do: 'expire', key: at, ttlMs: 100 }))
    await store.kv.run(program, keys, [steps(...set, ...expire, { do: 'persist', key: 1 })])
    const exist = [0, 1].map((at): ProgramStep => ({ do: 'exists', key: at }))
    await eventually(store, async () => (await store.kv.run(program, keys, [steps(...exist)]))[0] === 0)
    assert.deepEqual(await store.kv.run(program, keys, [steps(...exist)]), [0, 1])
  })
}

const readClock: Operation<Reply> = {
  name: 'test.clock',
  lua: `return {now_ms()}`,
  twin: (step) => [step.now],
  decode: (reply) => reply,
}

const undecodable: Operation<never> = {
  name: 'test.undecodable',
  lua: `return {1}`,
  twin: () => [1],
  decode: () => {
    throw new Error('this reply cannot be read')
  },
}

function codeOf(error: unknown): string | undefined {
  return error instanceof ParleyError ? error.code : undefined
}
