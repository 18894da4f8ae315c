import type { Seal } from '#conversations/vault.ts'
import type { Kv } from '#platform/kv/kv.ts'
import { decodeEvents } from './event-codec.ts'
import { placeOf, type TurnKeys } from './store/turn-keys.ts'
import type { TurnEvent } from './turn-events.ts'

const PAGE = 500

/** What the log holds after position `after` at the moment, a batch for each page. */
export async function* readLog(kv: Kv, { log }: TurnKeys, seal: Seal, after: number): AsyncGenerator<TurnEvent[]> {
  for (;;) {
    const entries = await kv.read(log, after, PAGE)
    const events = entries
      .flatMap(({ position, body }) => decodeEvents(seal.unseal(body, placeOf(log, position)), position))
      .filter((event) => (event.position ?? 0) > after)
    if (events.length > 0) yield events
    after = entries.at(-1)?.position ?? after
    if (entries.length < PAGE) return
  }
}
