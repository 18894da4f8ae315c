import { type Owner, partitionOf } from '#identity/principal.ts'
import { type Kv, key } from '#platform/kv/kv.ts'
import { type ErasedPart, erasePartition, patternOf } from './store/erase-partition.ts'
import { type ListedPart, listPartition } from './store/list-partition.ts'

/** A server with tens of millions of keys is looked through in seconds, without holding up others for more than a moment. */
const LOOKED_AT_ONCE = 1000

/**
 * All that the live state has of a person: conversations, turns under way, which stop at their next word, sessions, tokens. What
 * is left is the place of the data key, where the end of one is noted for a while. Resolves with how many keys there were.
 */
export async function eraseLiveState(kv: Kv, owner: Owner): Promise<number> {
  const stays = key(partitionOf(owner), 'data-key')
  let erased = 0
  for (let from: string | undefined = ''; from !== undefined; ) {
    const part: ErasedPart = await kv.run(erasePartition, [stays], [from, LOOKED_AT_ONCE, patternOf(stays)])
    erased += part.erased
    from = part.next
  }
  return erased
}

/** The names of all that the live state has of a person; some may come twice. */
export async function* namesInLiveState(kv: Kv, owner: Owner): AsyncGenerator<string> {
  const partition = partitionOf(owner)
  const anywhere = key(partition, 'data-key')
  const prefix = key(partition, '').length
  for (let from: string | undefined = ''; from !== undefined; ) {
    const part: ListedPart = await kv.run(listPartition, [anywhere], [from, LOOKED_AT_ONCE, patternOf(anywhere)])
    for (const name of part.keys) yield name.slice(prefix)
    from = part.next
  }
}
