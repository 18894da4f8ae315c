import type { Counted } from '../../src/config/rollout/counters.ts'

type Random = () => number

/** What is bad of a conversation, how often, and how many conversations later it comes out. */
export interface BadEvent {
  what: Counted
  times: number
  later: number
}

export interface Conversation {
  canary: boolean
  bad: readonly BadEvent[]
}

/** What may happen to the conversation `index`, drawn while `weight` of the new ones get the candidate. */
export type World = (random: Random, weight: number, index: number) => Conversation

/** How often a conversation is bad: plausible for a service in good order, and stated with the figures. */
export const RATES = {
  'turn-error': 0.01,
  'action-failed': 0.02,
  'not-completed': 0.05,
  'thumbs-down': 0.01,
} as const
/** The thresholds are stable's frozen quantiles, so of both arms a half and a tenth lie above. */
const QUANTILES = [
  ['first-token-slow.p50', 'first-token-slow.p90'],
  ['cost-high.p50', 'cost-high.p90'],
] as const

/** Six metrics, independent of one another; turn errors of each arm may be told otherwise. */
export function ordinary(errors: (canary: boolean, index: number) => number = () => RATES['turn-error']): World {
  return (random, weight, index) => {
    const canary = random() < weight
    const bad = others(random)
    if (random() < errors(canary, index)) bad.push(once('turn-error'))
    return { canary, bad }
  }
}

/** All that may be bad beside turn errors. */
function others(random: Random): BadEvent[] {
  const bad: BadEvent[] = []
  for (const [p50, p90] of QUANTILES) {
    const place = random()
    if (place < 0.5) bad.push(once(p50))
    if (place < 0.1) bad.push(once(p90))
  }
  for (const what of ['action-failed', 'not-completed', 'thumbs-down'] as const) {
    if (random() < RATES[what]) bad.push(once(what))
  }
  return bad
}

export function once(what: Counted, later = 0): BadEvent {
  return { what, times: 1, later }
}
