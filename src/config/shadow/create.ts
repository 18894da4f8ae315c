import type { Kv } from '#platform/kv/kv.ts'
import { Rounds } from '../rollout/rounds.ts'
import type { ShadowBook, Shadows, ShadowView } from '../shadow.ts'
import { createBook } from './book.ts'
import { createFigures } from './figures.ts'
import { createOperators, type OperatorsOptions } from './operators.ts'
import { PresentShadow } from './present.ts'
import { comparisonOf } from './tally.ts'

export interface ShadowsOptions extends Omit<OperatorsOptions, 'present' | 'figures' | 'view'> {
  kv: Kv
}

const EVERY_MS = 5000

/**
 * What is tried in the shadow, shared by all replicas through the live state's store: one small record says what it is, another
 * what it came to. Where nothing is tried, a turn costs a look at memory.
 */
export async function createShadows(
  options: ShadowsOptions,
): Promise<{ shadows: Shadows; book: ShadowBook; close(): Promise<void> }> {
  const { kv, clock, log, env } = options
  const present = new PresentShadow({ kv, clock, log })
  const figures = createFigures(kv)
  const { book, writeSkipped, endInTime } = createBook({ present, figures, clock, log })

  async function view(): Promise<ShadowView> {
    await Promise.all([present.read(), writeSkipped()])
    const { epoch, live, finished } = present.state
    const shown = live ?? finished[0]
    const tally = shown && (await figures.read(shown.id))
    const comparison = shown && tally ? comparisonOf(tally, shown) : null
    return { etag: String(epoch), live, finished, comparison, limits: env }
  }

  async function round(): Promise<void> {
    await present.look()
    await writeSkipped()
    await endInTime()
  }

  const rounds = new Rounds({ clock, log, everyMs: EVERY_MS, tasks: { round } })
  await present.look()
  present.listen()
  rounds.begin()
  return {
    shadows: { view, ...createOperators({ ...options, present, figures, view }) },
    book,
    async close() {
      await present.close()
      await rounds.close()
    },
  }
}
