import { travel } from './journey.ts'
import { seeded } from './random.ts'
import type { Row } from './rows.ts'

export interface Outcome {
  seeds: number
  rolledBack: number
  unresolved: number
  /** Conversations of the canary by the time it was rolled back: of those that were, the median and the 90th percentile. */
  caughtAfter: { p50: number; p90: number }
}

/** Travels once per seed. */
export function simulate({ world, departure }: Row, seeds: number, firstSeed: number): Outcome {
  const caught: number[] = []
  let unresolved = 0
  for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
    const { outcome, canary } = travel(world, seeded(seed), departure)
    if (outcome === 'rolled-back') caught.push(canary)
    if (outcome === 'unresolved') unresolved += 1
  }
  caught.sort((a, b) => a - b)
  const at = (share: number) => caught[Math.floor(share * caught.length)] ?? Number.NaN
  return { seeds, rolledBack: caught.length, unresolved, caughtAfter: { p50: at(0.5), p90: at(0.9) } }
}

/** 95 % interval of a share (Wilson). */
export function intervalOf(count: number, of: number): [low: number, high: number] {
  const z = 1.96
  const share = count / of
  const middle = (share + z ** 2 / (2 * of)) / (1 + z ** 2 / of)
  const half = (z / (1 + z ** 2 / of)) * Math.sqrt((share * (1 - share)) / of + z ** 2 / (4 * of ** 2))
  return [Math.max(0, middle - half), Math.min(1, middle + half)]
}
