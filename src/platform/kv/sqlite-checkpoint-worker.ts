import { DatabaseSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'

/** The thread behind `Checkpoints`: copies the write-ahead log into the database, and waits for the disk while it does. */
export type CheckpointOrder = 'PASSIVE' | 'RESTART' | 'close'

export interface CheckpointResult {
  /** Pages in the write-ahead log, and how many of them the database has now. */
  pages: number
  copied: number
}

const database = new DatabaseSync(String(workerData))
database.exec('PRAGMA busy_timeout = 5000; PRAGMA synchronous = NORMAL')

parentPort?.on('message', (order: CheckpointOrder) => {
  if (order === 'close') {
    database.close()
    parentPort?.close()
    return
  }
  const row = database.prepare(`PRAGMA wal_checkpoint(${order})`).get()
  parentPort?.postMessage({ pages: Number(row?.log), copied: Number(row?.checkpointed) } satisfies CheckpointResult)
})
