import { ParleyError } from '#errors.ts'
import type { Owner } from '#identity/principal.ts'
import type { Kv } from '#platform/kv/kv.ts'
import { decodeCursor, encodeCursor } from './cursor.ts'
import { conversationIndex, conversationKeys } from './keys.ts'
import { type IndexEntry, newestConversations, oldestConversations } from './store/index.ts'
import { loadConversations } from './store/read.ts'
import type { StoredConversation } from './store/record.ts'

export type Listed = IndexEntry & { stored: StoredConversation }

const MAX_PAGE = 100

/**
 * One page in the order of activity. The order is that of the index when it was read; a conversation that has news while
 * pages are turned moves to the front, so it is missed on the pages to come but never seen twice.
 */
export async function listConversations(
  kv: Kv,
  owner: Owner,
  { limit, cursor }: { limit: number; cursor?: string },
): Promise<{ items: Listed[]; next: string | null }> {
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE) {
    throw new ParleyError('invalid_request', { message: `\`limit\` is 1 to ${MAX_PAGE}.`, param: 'limit' })
  }
  let after = cursor === undefined ? undefined : decodeCursor(cursor)
  const items: Listed[] = []
  for (;;) {
    // One more than the page holds, to know whether another follows.
    const wanted = limit + 1 - items.length
    const entries = await entriesAfter(kv, owner, after, wanted)
    items.push(...(await loadEntries(kv, owner, entries)))
    after = entries.at(-1)
    if (items.length <= limit && entries.length === wanted) continue
    const last = items[limit - 1]
    const next = items.length > limit && last ? encodeCursor(last) : null
    return { items: items.slice(0, limit).sort(byActivity), next }
  }
}

/** Takes some of the oldest out of the index when they have expired; whether there were any. */
export async function pruneConversations(kv: Kv, owner: Owner): Promise<boolean> {
  const oldest = await kv.run(oldestConversations, [conversationIndex(owner)], [MAX_PAGE])
  const left = await loadEntries(kv, owner, oldest)
  return left.length < oldest.length
}

async function entriesAfter(kv: Kv, owner: Owner, after: IndexEntry | undefined, count: number): Promise<IndexEntry[]> {
  // Those of the same millisecond come again and are skipped; there are hardly ever more than one.
  for (let size = after ? count + 1 : count; ; size *= 2) {
    const newest = after ? after.updatedAt : ''
    const found = await kv.run(newestConversations, [conversationIndex(owner)], [newest, size])
    const entries = after ? found.filter((entry) => isAfter(entry, after)) : found
    if (entries.length >= count || found.length < size) return entries.slice(0, count)
  }
}

function isAfter(entry: IndexEntry, other: IndexEntry): boolean {
  return entry.updatedAt === other.updatedAt ? entry.id < other.id : entry.updatedAt < other.updatedAt
}

async function loadEntries(kv: Kv, owner: Owner, entries: readonly IndexEntry[]): Promise<Listed[]> {
  if (entries.length === 0) return []
  const ids = entries.map(({ id }) => id)
  const records = ids.map((id) => conversationKeys(owner, id).record)
  const found = await kv.run(loadConversations, [conversationIndex(owner), ...records], ids)
  return entries.flatMap((entry, at) => {
    const stored = found[at]
    return stored ? [{ ...entry, stored }] : []
  })
}

/** What changed between index and record is shown as it is by now. */
function byActivity({ id, stored }: Listed, other: Listed): number {
  return other.stored.updatedAt - stored.updatedAt || (id < other.id ? 1 : -1)
}
