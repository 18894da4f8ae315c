import { tokenCounter } from '../token-counter.ts'
import { ShadowTurns, type ShadowTurnsOptions } from './shadow-turns.ts'

/** Copies of turns on this replica, for a version that is tried in the shadow. */
export function createShadowTurns(options: Omit<ShadowTurnsOptions, 'counter'>): ShadowTurns {
  return new ShadowTurns({ ...options, counter: tokenCounter })
}
