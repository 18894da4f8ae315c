import { diffWordsWithSpace } from 'diff'
import type { Words } from '../diff.ts'

/** Words that may have come or gone in one text; with more, both texts are shown as they are. A tenth of a second at most. */
const MAX_CHANGED_WORDS = 1000
/** The time for a text grows with the square of the words that have changed: what one diff may spend on all its texts. */
const BUDGET = MAX_CHANGED_WORDS ** 2

export type CompareWords = (before: string, after: string) => readonly Words[] | undefined

/** Compares texts word by word, spaces included; undefined where that would take too long. For the texts of one diff. */
export function createWordDiff(): CompareWords {
  let budget = BUDGET
  return (before, after) => {
    const maxEditLength = Math.min(MAX_CHANGED_WORDS, Math.floor(Math.sqrt(budget)))
    const parts = maxEditLength > 0 ? diffWordsWithSpace(before, after, { maxEditLength }) : undefined
    const changed = parts?.reduce((sum, { added, removed, count }) => sum + (added || removed ? count : 0), 0)
    budget -= (changed ?? maxEditLength) ** 2
    return parts?.map(({ added, removed, value }) => ({
      kind: added ? ('added' as const) : removed ? ('removed' as const) : ('same' as const),
      text: value,
    }))
  }
}
