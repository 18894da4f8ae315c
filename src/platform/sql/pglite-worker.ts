import { parentPort, workerData } from 'node:worker_threads'
import { PGlite } from '@electric-sql/pglite'

/** The thread behind `PgliteStream`: the database in its folder, which takes bytes of the protocol and answers in bytes. */
const database = await PGlite.create({ dataDir: String(workerData) })

parentPort?.on('message', (message: Uint8Array | 'close') => {
  if (message === 'close') {
    void database.close().finally(() => parentPort?.close())
    return
  }
  const answer = database.execProtocolRawSync(message)
  if (answer.byteLength > 0) parentPort?.postMessage(answer)
})
parentPort?.postMessage('open')
