import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { ParleyError } from '#errors.ts'

/** The folder of the embedded engines, ours alone until it is disposed of. */
export interface DataFolder extends AsyncDisposable {
  readonly path: string
}

/**
 * Creates the folder if need be and locks it; rejects with `data_locked`, naming the process that has it, or with
 * `environment_invalid`. The lock is an open transaction: the kernel releases it with the process, however that ends, so
 * it takes no guess whether a process of some number is still the one that left it.
 */
export async function openDataFolder(path: string): Promise<DataFolder> {
  const pidFile = join(path, 'lock.pid')
  let lock: DatabaseSync | undefined
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
    lock = takeLock(join(path, 'lock.db'))
    if (lock) writeFileSync(pidFile, String(process.pid))
  } catch (error) {
    lock?.close()
    throw new ParleyError('environment_invalid', { message: `The data folder ${path} cannot be used.`, cause: error })
  }
  if (!lock) {
    throw new ParleyError('data_locked', {
      message: `The data folder ${path} is in use by process ${readPid(pidFile)}.`,
    })
  }
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      if (!lock.isOpen) return
      rmSync(pidFile, { force: true })
      lock.close()
    },
  }
}

function takeLock(file: string): DatabaseSync | undefined {
  const database = new DatabaseSync(file)
  try {
    database.exec('BEGIN EXCLUSIVE')
    return database
  } catch (error) {
    database.close()
    if (isBusy(error)) return undefined
    throw error
  }
}

function isBusy(error: unknown): boolean {
  const busy = 5
  return error instanceof Error && 'errcode' in error && error.errcode === busy
}

function readPid(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    // It has just taken the lock, or is about to let go of it.
    return 'unknown'
  }
}
