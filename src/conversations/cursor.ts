import { ParleyError } from '#errors.ts'

/** A place in the list of conversations, opaque to clients. */
export function writeCursor({ updatedAt, id }: { updatedAt: number; id: string }): string {
  return Buffer.from(`${updatedAt} ${id}`).toString('base64url')
}

/** Throws invalid_request for what `writeCursor` did not make. */
export function readCursor(cursor: string): [updatedAt: string, id: string] {
  const [, updatedAt, id] = /^(\d{1,15}) (conv_[0-9a-f]{32})$/.exec(Buffer.from(cursor, 'base64url').toString()) ?? []
  if (!updatedAt || !id)
    throw new ParleyError('invalid_request', { message: 'This cursor is not one of ours.', param: 'cursor' })
  return [updatedAt, id]
}
