import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ParleyError } from '#errors.ts'
import { Grouped } from './grouped.ts'

test('what comes together goes together, at most 200 and no more than 4 MiB at once', async () => {
  const sizes: number[] = []
  const grouped = new Grouped<number, number>(
    async (items) => {
      sizes.push(items.length)
      return items.map((item) => -item)
    },
    (item) => item,
  )
  const results = await Promise.all(Array.from({ length: 201 }, () => grouped.do(1)))
  assert.deepEqual([sizes, results.length], [[200, 1], 201])
  const half = 2 * 1024 * 1024
  sizes.length = 0
  assert.deepEqual(await Promise.all([half, half, half + 1, half, 3 * half].map((item) => grouped.do(item))), [
    ...[-half, -half, -half - 1, -half, -3 * half],
  ])
  assert.deepEqual(sizes, [2, 1, 1, 1])
})

test('one that fails its group fails alone', async () => {
  const grouped = new Grouped<string, string>(async (items) => {
    if (items.includes('bad')) throw new Error('bad')
    return items.map((item) => `${item} done`)
  })
  const settled = await Promise.allSettled(['a', 'bad', 'b'].map((item) => grouped.do(item)))
  assert.deepEqual(
    settled.map((each) => (each.status === 'fulfilled' ? each.value : each.reason.message)),
    ['a done', 'bad', 'b done'],
  )
})

test('with the database away nobody is tried again one by one', async () => {
  let tries = 0
  const grouped = new Grouped<string, string>(() => {
    tries += 1
    return Promise.reject(new ParleyError('database_unavailable'))
  })
  const settled = await Promise.allSettled(['a', 'b'].map((item) => grouped.do(item)))
  assert.deepEqual([settled.map(({ status }) => status), tries], [['rejected', 'rejected'], 1])
})
