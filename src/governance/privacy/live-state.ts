import { type Owner, partitionOf } from '#identity/principal.ts'
import { type Kv, key } from '#platform/kv/kv.ts'
import { type ErasedPart, erasePartition, patternOf } from './store/erase-partition.ts'

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
