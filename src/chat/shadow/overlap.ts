/** Longer answers are compared by their beginning. */
const COMPARED_CHARACTERS = 20_000

/**
 * How much two answers have in common: the share of their words that both have (Jaccard index of the sets), 0 to 1. Crude, and
 * without a model that would have to be shown what people say. Null where one of them has no words.
 */
export function overlapOf(one: string, other: string): number | null {
  const [words, others] = [wordsOf(one), wordsOf(other)]
  if (words.size === 0 || others.size === 0) return null
  return words.intersection(others).size / words.union(others).size
}

function wordsOf(text: string): Set<string> {
  const compared = text.slice(0, COMPARED_CHARACTERS).toLowerCase()
  return new Set(compared.match(/[\p{L}\p{N}]+/gu) ?? [])
}
