import { ParleyError } from '#errors.ts'
import { ID_PATTERN } from './keys.ts'
import type { IndexEntry } from './store/index.ts'

/** The last entry of a page, as text that means nothing to its reader. */
export function encodeCursor({ id, updatedAt }: IndexEntry): string {
  return Buffer.from(`${updatedAt}/${id}`).toString('base64url')
}

/** Throws invalid_request. */
export function decodeCursor(cursor: string): IndexEntry {
  const [updatedAt, id, ...rest] = Buffer.from(cursor, 'base64url').toString().split('/')
  if (!/^\d{1,15}$/.test(updatedAt ?? '') || !ID_PATTERN.test(id ?? '') || rest.length > 0) {
    throw new ParleyError('invalid_request', { message: '`cursor` is none that a page gave.', param: 'cursor' })
  }
  return { id: String(id), updatedAt: Number(updatedAt) }
}
