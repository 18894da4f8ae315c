import { ParleyError } from '#errors.ts'
import { type Kv, key } from '#platform/kv/kv.ts'
import type { Compared, LiveShadow, SkipReason } from '../shadow.ts'
import { changeRecord, readRecord } from './shared-record.ts'
import { type Booking, book, emptyTally, settle, type Tally, withSkipped } from './tally.ts'

const KEPT_MS = 90 * 86_400_000

const tallyKey = (shadow: string) => key('shadow', `tally:${shadow}`)

export type Figures = ReturnType<typeof createFigures>

/** What shadows came to, each in a record of its own that all replicas write. All of it rejects with state_unavailable. */
export function createFigures(kv: Kv) {
  const change = (shadow: string, next: (tally: Tally) => Tally): Promise<Tally> =>
    changeRecord(kv, tallyKey(shadow), lost, next, KEPT_MS)

  return {
    /** Before anything is booked. */
    async lay(shadow: string): Promise<void> {
      await kv.put(tallyKey(shadow), Buffer.from(JSON.stringify(emptyTally())), { ttlMs: KEPT_MS })
    },

    async forget(shadow: string): Promise<void> {
      await kv.delete(tallyKey(shadow))
    },

    read: (shadow: string): Promise<Tally | undefined> => readRecord<Tally>(kv, tallyKey(shadow)),

    async book(shadow: LiveShadow, copy: { id: string; usd: number; at: number }): Promise<Booking> {
      let booking: Booking = 'held'
      await change(shadow.id, (before) => {
        const booked = book(before, shadow, copy)
        booking = booked.booking
        return booked.tally
      })
      return booking
    },

    settle: (shadow: string, copy: string, spentUsd: number, compared: Compared | null): Promise<Tally> =>
      change(shadow, (before) => settle(before, copy, spentUsd, compared)),

    addSkipped: (shadow: string, skipped: ReadonlyMap<SkipReason, number>): Promise<Tally> =>
      change(shadow, (before) => withSkipped(before, skipped)),
  }
}

/** A budget that nobody remembers is not begun anew. */
function lost(): never {
  throw new ParleyError('state_unavailable', { message: 'The figures of this shadow are lost.' })
}
