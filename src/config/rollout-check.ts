import type { ConfigDocument } from './document.ts'
import type { Fault } from './fault.ts'
import { firstLooser, type HeldBack } from './rollout-steps.ts'

/** What the environment asks of every rollout. */
export interface AskedOfRollouts {
  floors: readonly HeldBack[]
  bakeMs: number
}

/** Steps that do not rise, and what holds a version back less than the environment asks for. */
export function checkRollout(
  { rollout }: Pick<ConfigDocument, 'rollout'>,
  { floors, bakeMs }: AskedOfRollouts,
): Fault[] {
  const steps = rollout?.steps ?? []
  const faults: Fault[] = steps.flatMap(({ weight }, at) => {
    const before = steps[at - 1]?.weight ?? 0
    if (weight > before) return []
    return [{ path: ['rollout', 'steps', at, 'weight'], message: `has to be above that of the step before, ${before}` }]
  })
  const looser = steps.length > 0 ? firstLooser(steps, floors) : undefined
  const floor = looser === undefined ? undefined : floors[looser]
  if (looser !== undefined && floor) {
    const path = ['rollout', 'steps', ...(looser < steps.length ? [looser] : [])]
    const asked = `at most ${floor.weight} % and at least ${floor.conversations} conversations`
    faults.push({
      path,
      message: `is looser than the environment asks for: step ${looser + 1} has to have ${asked} (PARLEY_ROLLOUT_FLOORS)`,
    })
  }
  if (rollout?.bakeMs !== undefined && rollout.bakeMs < bakeMs) {
    const message = `must be at least ${bakeMs}, as the environment asks (PARLEY_ROLLOUT_BAKE_MS)`
    faults.push({ path: ['rollout', 'bakeMs'], message })
  }
  return faults
}
