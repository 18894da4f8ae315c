import { cpSync, existsSync, renameSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { PGlite } from '@electric-sql/pglite'
import type { PgliteFolder } from './pglite-stream.ts'

/** The thread behind `PgliteStream`: the database in its folder, which takes bytes of the protocol and answers in bytes. */
const { path, template }: PgliteFolder = workerData
if (template !== undefined && !existsSync(path)) copyWhole(template, path)
const database = await PGlite.create({ dataDir: path })

parentPort?.on('message', (message: Uint8Array | 'close') => {
  if (message === 'close') {
    void database.close().finally(() => parentPort?.close())
    return
  }
  // The plain way of asking in bytes reads every answer for itself, and keeps what it read for ever. This one works at once,
  // too, until there is something to wait for, which without the file system there is not.
  const answer: Buffer[] = []
  void database.execProtocolRawStream(message, {
    syncToFs: false,
    onRawData: (bytes) => {
      answer.push(Buffer.from(bytes))
    },
  })
  if (answer.length > 0) parentPort?.postMessage(new Uint8Array(Buffer.concat(answer)))
})
parentPort?.postMessage('open')

/** A copy that a crash cuts short is never taken for a database. */
function copyWhole(from: string, to: string): void {
  const unfinished = `${to}.copying`
  cpSync(from, unfinished, { recursive: true })
  renameSync(unfinished, to)
}
