import type { SpentSegment } from '#events/events.ts'
import { deploymentKey } from '#models/deployment.ts'
import type { ConfigDocument } from '../document.ts'

type Models = ConfigDocument['models']

/**
 * What a turn cost, in USD, by the prices of `stable` where both versions use the deployment: a version whose price list alone
 * differs is neither cheaper nor dearer. Both arms, and the baseline, are priced by this.
 */
export function unitCost(segments: readonly SpentSegment[], served: Models, stable: Models): number {
  return segments.reduce((sum, segment) => sum + costOf(segment, served, stable), 0)
}

function costOf({ model, inputTokens, outputTokens, costUsd }: SpentSegment, served: Models, stable: Models): number {
  const spec = served[model]
  if (!spec) return costUsd
  const deployment = deploymentKey({ name: model, spec })
  const shared = Object.entries(stable).find(([name, one]) => deploymentKey({ name, spec: one }) === deployment)
  if (!shared) return costUsd
  const { price } = shared[1]
  return (inputTokens * price.input + outputTokens * price.output) / 1e6
}
