import type { RolloutEnv } from '#env.ts'
import type { Weakening } from '../diff.ts'
import type { ConfigVersion } from '../document.ts'
import type { KnownVersion } from './known-versions.ts'
import { hasSecond } from './waiting.ts'

export interface SecondOperatorOptions {
  weakeningsOf(from: ConfigVersion, to: ConfigVersion): readonly Weakening[]
  env: Pick<RolloutEnv, 'secondOperator'>
}

/** Whether somebody else has to agree before `candidate` serves by the word of `by`; null: by itself. */
export type NeedsSecond = (
  stable: ConfigVersion,
  candidate: ConfigVersion,
  entry: KnownVersion,
  by: string | null,
) => boolean

export function createSecondOperator({ weakeningsOf, env }: SecondOperatorOptions): NeedsSecond {
  /** By hashes of both: a difference of two versions does not change. */
  const weaker = new Map<string, boolean>()
  const isWeaker = (stable: ConfigVersion, candidate: ConfigVersion) =>
    weaker.getOrInsertComputed(`${stable.hash} ${candidate.hash}`, () => weakeningsOf(stable, candidate).length > 0)
  return (stable, candidate, entry, by) => env.secondOperator && !hasSecond(entry, by) && isWeaker(stable, candidate)
}
