import type { RolloutEnv } from '#env.ts'
import type { ConfigDocument } from '../document.ts'
import type { Step } from './state.ts'

/** How a version is rolled out: by its own steps, which were checked against the floors when it was validated, else by the floors. */
export function planOf(
  { rollout }: Pick<ConfigDocument, 'rollout'>,
  env: Pick<RolloutEnv, 'floors' | 'bakeMs'>,
): { steps: readonly Step[]; bakeMs: number } {
  const own = rollout?.steps ?? []
  return { steps: own.length > 0 ? own : env.floors, bakeMs: Math.max(rollout?.bakeMs ?? 0, env.bakeMs) }
}
