import { tokenCounter } from '../token-counter.ts'
import { createLoadGauge } from './load-gauge.ts'
import { ShadowTurns, type ShadowTurnsOptions } from './shadow-turns.ts'

/** Copies of turns on this replica, for a version that is tried in the shadow. */
export function createShadowTurns(options: Omit<ShadowTurnsOptions, 'counter' | 'isLoaded'>): ShadowTurns {
  return new ShadowTurns({ ...options, counter: tokenCounter, isLoaded: createLoadGauge(options.clock) })
}
