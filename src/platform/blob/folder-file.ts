import { type BigIntStats, constants, fstatSync, renameSync, statSync, utimesSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'

/** What a file was like at one look. */
export interface FileLook {
  etag: string
  size: number
  modifiedAt: number
}

/** A look at a file, and its first bytes as they were at that look. */
export interface FileRead extends FileLook {
  bytes: Buffer
}

/** How often a file is read again that changes while it is read. */
const attempts = 5

/**
 * The number of the file, its size, and its times to the nanosecond. The time of change belongs to the kernel: whatever is written, by
 * whomever and with whatever time stamp, moves it on.
 */
export function lookOf({ ino, size, mtimeNs, ctimeNs, mtimeMs }: BigIntStats): FileLook {
  const etag = [ino, size, mtimeNs, ctimeNs].map((each) => each.toString(36)).join('-')
  return { etag, size: Number(size), modifiedAt: Number(mtimeMs) }
}

/** Undefined when it is no file; rejects with EAGAIN when it changes each time it is read. */
export async function readWhole(
  path: string,
  maxBytes: number,
  ifNot: string | undefined,
): Promise<FileRead | 'unchanged' | undefined> {
  // What is no file may keep whoever opens it waiting.
  await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  for (let attempt = 0; attempt < attempts; attempt++) {
    const stats = await file.stat({ bigint: true })
    if (!stats.isFile()) return undefined
    const look = lookOf(stats)
    if (look.etag === ifNot) return 'unchanged'
    const bytes = await readStart(file, Math.min(maxBytes, look.size))
    const after = lookOf(await file.stat({ bigint: true }))
    if (after.etag === look.etag && bytes.length === Math.min(maxBytes, look.size)) return { ...look, bytes }
  }
  throw Object.assign(new Error('changes while it is read'), { code: 'EAGAIN' })
}

async function readStart(file: FileHandle, count: number): Promise<Buffer> {
  // A byte is asked for even of an empty file, so that one that cannot be read is not taken for empty.
  const buffer = Buffer.allocUnsafe(Math.max(count, 1))
  let length = 0
  while (length < buffer.length) {
    const { bytesRead } = await file.read(buffer, length, buffer.length - length, length)
    if (bytesRead === 0) break
    length += bytesRead
  }
  return buffer.subarray(0, Math.min(length, count))
}

/** The file as it is now, or undefined when there is none. */
export function lookNow(path: string): BigIntStats | undefined {
  return statSync(path, { bigint: true, throwIfNoEntry: false })
}

/**
 * Puts `draft`, an open file at `draftPath`, in the place of `path`, where `before` is what was there. The kernel's time moves in ticks:
 * it has to be another one than that of what is replaced, or a third file of the same size, under the number that the first has given
 * back, could pass for the first.
 */
export function takePlace(
  path: string,
  draft: FileHandle,
  draftPath: string,
  before: BigIntStats | undefined,
): FileLook {
  while (before && fstatSync(draft.fd, { bigint: true }).ctimeNs === before.ctimeNs) {
    utimesSync(draftPath, before.atime, new Date())
  }
  renameSync(draftPath, path)
  return lookOf(fstatSync(draft.fd, { bigint: true }))
}

/** So that what a folder lists survives the power. */
export async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, constants.O_RDONLY)
  await folder.sync()
}
