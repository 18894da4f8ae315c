import { createLog } from '#log.ts'
import { FolderBlobStore } from '#platform/blob/folder.ts'
import { systemClock } from '#platform/clock.ts'

/** One of several processes on one folder: counts up a blob, and tells which of the others it was the first to create. */

const [root = '', times = '0'] = process.argv.slice(2)
const store = new FolderBlobStore({ root, clock: systemClock, log: createLog('silent') })
const created: string[] = []

for (let round = 0; round < Number(times); round++) {
  const name = `created/${round}`
  if (await store.put(name, Buffer.from(String(process.pid)), { absent: true })) created.push(name)
  while (!(await countUp()));
}
process.stdout.write(JSON.stringify(created))

async function countUp(): Promise<boolean> {
  const blob = await store.get('count.json')
  if (typeof blob !== 'object') throw new Error('the count has gone')
  const { count } = JSON.parse(blob.bytes.toString())
  return (
    (await store.put('count.json', Buffer.from(JSON.stringify({ count: count + 1 })), { ifMatch: blob.etag })) !==
    undefined
  )
}
