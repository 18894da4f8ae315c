import fc from 'fast-check'

/** What is drawn at once is held at once. */
const AT_ONCE = 50
/** So that no part of a run is that of another whose seed is near. */
const SEEDS_APART = 1_000_003

/** So many, one after the other, the same for the same seed. */
export function* drawn<Value>(arbitrary: fc.Arbitrary<Value>, count: number, seed: number): Generator<Value> {
  for (let left = count, part = 0; left > 0; left -= AT_ONCE, part += 1)
    yield* fc.sample(arbitrary, { seed: (seed + part * SEEDS_APART) | 0, numRuns: Math.min(left, AT_ONCE) })
}

/** Mostly the first, and now and then one of the others. */
export function mostly<Value>(usual: fc.Arbitrary<Value>, weight: number, ...others: readonly Value[]) {
  return fc.oneof({ arbitrary: usual, weight }, { arbitrary: fc.constantFrom(...others), weight: 1 })
}
