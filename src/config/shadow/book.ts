import { newId } from '#ids.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { LiveShadow, ShadowBook, SkipReason } from '../shadow.ts'
import type { Figures } from './figures.ts'
import type { PresentShadow } from './present.ts'

const reasons = {
  turns: 'All its turns were copied.',
  budget: 'Its budget holds no further turn.',
  time: 'Its time is up.',
}

export interface BookOptions {
  present: PresentShadow
  figures: Figures
  clock: Clock
  log: Log
}

/** Gives leave for copies, as long as what is tried has not ended and its budget lasts. */
export function createBook({ present, figures, clock, log }: BookOptions) {
  /** Since they were last written. */
  const skips = new Map<SkipReason, number>()

  const finish = (shadow: LiveShadow, ended: keyof typeof reasons) =>
    present.finish(shadow, { ended, reason: reasons[ended], endedAt: clock.now() })

  const skipped: ShadowBook['skipped'] = (shadow, reason) => {
    if (present.live?.id === shadow.id) skips.set(reason, (skips.get(reason) ?? 0) + 1)
  }

  const take: ShadowBook['take'] = async (shadow, mostUsd) => {
    // It may have ended on another replica, and this one not have heard.
    await present.read()
    if (present.live?.id !== shadow.id) return undefined
    const at = clock.now()
    if (at >= shadow.until) {
      await finish(shadow, 'time')
      return undefined
    }
    const id = newId('copy')
    const booking = await figures.book(shadow, { id, usd: mostUsd, at })
    if (booking === 'taken') return { id, shadow: shadow.id }
    if (booking === 'held') skipped(shadow, 'budget-held')
    else await finish(shadow, booking)
    return undefined
  }

  const settle: ShadowBook['settle'] = async (taken, spentUsd, compared) => {
    const tally = await figures.settle(taken.shadow, taken.id, spentUsd, compared)
    const { live } = present
    const isLast = live?.id === taken.shadow && tally.taken >= live.turns && tally.held.length === 0
    if (live && isLast) await finish(live, 'turns')
  }

  /** Best effort: what is not written is only not told. */
  async function writeSkipped(): Promise<void> {
    const { live } = present
    const noted = new Map(skips)
    skips.clear()
    if (!live || noted.size === 0) return
    await figures
      .addSkipped(live.id, noted)
      .catch((error: unknown) => log.warn({ err: error }, 'Turns that were not copied could not be counted'))
  }

  /** It ends on its day, also where no turn comes. */
  async function endInTime(): Promise<void> {
    const { live } = present
    if (live && clock.now() >= live.until) await finish(live, 'time')
  }

  const book: ShadowBook = {
    live: () => present.live,
    take,
    settle,
    skipped,
    onStop: (listener) => present.onStop(listener),
  }
  return { book, writeSkipped, endInTime }
}
