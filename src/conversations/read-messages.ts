import { ParleyError } from '#errors.ts'
import type { Kv, LogEntry } from '#platform/kv/kv.ts'
import type { ConversationKeys } from './conversations.ts'
import { readMessages } from './store/read.ts'

const MAX_ENTRIES = 1000
/** Entries of one reply of the store, which is busy with nothing else meanwhile. */
const ENTRIES_AT_ONCE = 100
/** A page ends early once it holds as much. */
const PAGE_BYTES = 4 * 1024 * 1024

/** A page of sealed entries. Throws invalid_request, conversation_not_found. */
export async function readEntries(
  kv: Kv,
  { record, messages }: ConversationKeys,
  after: number,
  limit: number,
): Promise<{ entries: LogEntry[]; next: number | null }> {
  checkRange('limit', limit, 1, MAX_ENTRIES)
  checkRange('after', after, -1, Number.MAX_SAFE_INTEGER)
  const entries: LogEntry[] = []
  let bytes = 0
  let position = after
  for (;;) {
    const wanted = Math.min(limit - entries.length, ENTRIES_AT_ONCE)
    // One more, to know whether there is any.
    const found = await kv.run(readMessages, [record, messages], [position, wanted + 1])
    if (!found) throw new ParleyError('conversation_not_found')
    for (const entry of found.slice(0, wanted)) {
      entries.push(entry)
      bytes += entry.body.length
      position = entry.position
      if (bytes >= PAGE_BYTES) break
    }
    const isLast = found.at(-1)?.position === position || found.length === 0
    if (isLast) return { entries, next: null }
    if (bytes >= PAGE_BYTES || entries.length === limit) return { entries, next: position }
  }
}

function checkRange(param: string, value: number, min: number, max: number): void {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return
  throw new ParleyError('invalid_request', { message: `\`${param}\` is ${min} to ${max}.`, param })
}
