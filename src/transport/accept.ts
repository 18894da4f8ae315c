/**
 * Which of the offered media types an `accept` header likes best (RFC 9110 §12.5.1): the highest quality, the offers' order
 * among equals; the first offer without a header; undefined when it takes none.
 */
export function preferredType<Offer extends string>(
  accept: string | undefined,
  offers: readonly Offer[],
): Offer | undefined {
  if (accept === undefined || accept.trim() === '') return offers[0]
  const ranges = accept.split(',').map(parseRange)
  let best: { offer: Offer; quality: number } | undefined
  for (const offer of offers) {
    const quality = qualityOf(offer, ranges)
    if (quality > (best?.quality ?? 0)) best = { offer, quality }
  }
  return best?.offer
}

interface Range {
  type: string
  quality: number
}

function parseRange(text: string): Range {
  const [type = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase())
  const given = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2)
  const quality = given === undefined ? 1 : Number(given)
  return { type, quality: quality >= 0 && quality <= 1 ? quality : 0 }
}

/** The most specific range decides. */
function qualityOf(offer: string, ranges: readonly Range[]): number {
  for (const type of [offer, `${offer.split('/')[0]}/*`, '*/*']) {
    const range = ranges.find((candidate) => candidate.type === type)
    if (range) return range.quality
  }
  return 0
}
