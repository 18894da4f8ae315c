import { randomUUID } from 'node:crypto'
import { writeSync } from 'node:fs'
import { createLog } from '#log.ts'
import { systemClock } from '#platform/clock.ts'
import { SqliteQueue } from '#platform/queue/sqlite.ts'

/** Sends to the queue in the file named by its argument, holds every other message, and says on stdout what is acknowledged. */
const [, , path = ''] = process.argv
const queue = new SqliteQueue({ path, clock: systemClock, log: createLog('silent') })

let taken = 0
queue.receive(
  async (delivery) => {
    taken += 1
    if (taken % 2 === 0) await new Promise(() => {})
    writeSync(1, `taken ${delivery.id}\n`)
    await delivery.complete()
    writeSync(1, `completed ${delivery.id}\n`)
  },
  { concurrency: 100, renewForMs: 0 },
)

for (;;) {
  const ids = Array.from({ length: 5 }, () => randomUUID())
  await queue.send(ids.map((id) => ({ id, body: 'body' })))
  writeSync(1, ids.map((id) => `sent ${id}\n`).join(''))
  await new Promise((resolve) => setTimeout(resolve, 2))
}
