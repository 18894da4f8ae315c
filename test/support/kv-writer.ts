import { writeSync } from 'node:fs'
import { createLog } from '#log.ts'
import { systemClock } from '#platform/clock.ts'
import { createKv } from '#platform/kv/create-kv.ts'
import { key, type Operation } from '#platform/kv/kv.ts'
import { SqliteEngine } from '#platform/kv/sqlite.ts'

/**
 * Writes to the database named by its argument until it is killed, and says on stdout what is acknowledged: every operation
 * appends to one of some logs and counts it in that log's record, in one step.
 */
const logs = 12
const [, , path = ''] = process.argv
const kv = createKv(new SqliteEngine({ path, clock: systemClock, log: createLog('silent'), maxLogPages: 100 }))

const appendAndCount: Operation<number> = {
  name: 'test.append-and-count',
  lua: '',
  twin: (step, [log, record]) => {
    if (!log || !record) throw new RangeError('two keys are needed')
    const position = step.top(log) + 1
    step.append(log, position, Buffer.from(`entry ${position}`.padEnd(200)))
    return [step.increment(record, 'appended', 1)]
  },
  decode: ([count]) => Number(count),
}

for (;;) {
  const acknowledged = await Promise.all(
    Array.from({ length: logs }, async (_, n) => {
      const partition = `log-${n}`
      return `${n}:${await kv.run(appendAndCount, [key(partition, 'log'), key(partition, 'record')], [])}`
    }),
  )
  writeSync(1, `${acknowledged.join(' ')}\n`)
}
