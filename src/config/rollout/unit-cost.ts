import type { SpentSegment } from '#events/events.ts'
import { deploymentKey } from '#models/deployment.ts'
import type { ConfigDocument } from '../document.ts'

type Models = ConfigDocument['models']
type Price = Models[string]['price']

/**
 * What a turn cost, in USD, by the prices of `stable` where both versions use the deployment: a version whose price list alone
 * differs is neither cheaper nor dearer. Both arms, and the baseline, are priced by this.
 */
export function unitCost(segments: readonly SpentSegment[], served: Models, stable: Models): number {
  return segments.reduce((sum, segment) => sum + costOf(segment, served, stable), 0)
}

function costOf({ model, inputTokens, outputTokens, costUsd }: SpentSegment, served: Models, stable: Models): number {
  const price = stablePrice(model, served, stable)
  return price ? (inputTokens * price.input + outputTokens * price.output) / 1e6 : costUsd
}

/** Versions never change: what was looked up once holds for as long as both are around. */
const pricesBy = new WeakMap<Models, WeakMap<Models, Map<string, Price | undefined>>>()

/** What stable pays for the deployment that the served version calls by this name. */
function stablePrice(model: string, served: Models, stable: Models): Price | undefined {
  const prices = pricesBy.getOrInsertComputed(served, () => new WeakMap()).getOrInsertComputed(stable, () => new Map())
  return prices.getOrInsertComputed(model, () => {
    const spec = served[model]
    const deployment = spec && deploymentKey({ name: model, spec })
    return Object.entries(stable).find(([name, one]) => deploymentKey({ name, spec: one }) === deployment)?.[1].price
  })
}
