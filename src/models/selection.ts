import type { Candidate } from './answer.ts'
import type { Deployment } from './deployment.ts'

export interface Option {
  candidate: Candidate
  deployment: Deployment
}

/**
 * Who is called next: the first in order that was not tried yet, whose circuit lets a call through and that no 429 keeps
 * away. At most half of a route may be out: beyond that the circuit that is the first to half-open is used although it is
 * open (`forced`), because it is only our guess. A 429 is the provider's word and is always obeyed.
 */
export function nextOption(
  route: readonly Option[],
  tried: ReadonlySet<Option>,
): { option: Option; forced: boolean } | undefined {
  const ready = route.find((option) => !tried.has(option) && isReady(option.deployment))
  if (ready) return { option: ready, forced: false }
  const out = route.filter((option) => !tried.has(option))
  if (out.length <= Math.floor(route.length / 2)) return undefined
  const [leastBad] = out
    .filter(({ deployment }) => deployment.coolingMs === 0 && deployment.breaker.held !== 'open')
    .sort((a, b) => a.deployment.breaker.openUntil - b.deployment.breaker.openUntil)
  return leastBad && { option: leastBad, forced: true }
}

function isReady(deployment: Deployment): boolean {
  return deployment.coolingMs === 0 && deployment.breaker.admits
}
