/**
 * Counts of values by powers of 1.05: a percentile is off by at most a twentieth, whatever the scale, and histograms of replicas
 * and hours add up.
 */
const BASE = Math.log(1.05)

export interface Scale {
  /** Values below it are as good as this. */
  least: number
  /** Values above it are as good as this. */
  most: number
}

export function bucketOf(value: number, { least, most }: Scale): number {
  return Math.round(Math.log(Math.min(Math.max(value, least), most) / least) / BASE)
}

export function bucketsOf({ least, most }: Scale): number {
  return bucketOf(most, { least, most }) + 1
}

/** The value that `share` (0 to 1) of what was counted does not exceed; 0 where nothing was counted. */
export function percentile(counts: readonly number[], share: number, { least }: Scale): number {
  const total = counts.reduce((sum, count) => sum + count, 0)
  if (total === 0) return 0
  let below = 0
  for (const [bucket, count] of counts.entries()) {
    below += count
    // The upper edge: what is in the bucket is not above it.
    if (below >= share * total) return least * Math.exp((bucket + 0.5) * BASE)
  }
  return 0
}
