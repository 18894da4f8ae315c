import { type Counted, type Counters, noCounts } from '../../src/config/rollout/counters.ts'
import { judge } from '../../src/config/rollout/judge.ts'
import type { Judged } from '../../src/config/rollout/verdict.ts'
import { type BadEvent, RATES, type World } from './world.ts'

/** A conversation every ten seconds; so a trial, closed after 15 minutes, closes 90 conversations later. */
const SPACING_MS = 10_000
const CLOSES_LATER = 90
const BAKE_MS = 900_000
const BASELINE_TRIALS = 1000
const LONGEST = 10_000

const STEPS = [
  { weight: 5, conversations: 50 },
  { weight: 25, conversations: 100 },
  { weight: 50, conversations: 200 },
] as const

export interface Journey {
  outcome: 'stable' | 'rolled-back' | 'unresolved'
  /** Conversations that the canary had by then. */
  canary: number
}

export interface Arms {
  canary: number
  control: number
}

/** Where a method departs from what is shipped. */
export interface Departure {
  /** What rolls back, instead of the judge. */
  rollsBack?: (counters: Counters, arms: Arms) => boolean
  /** Counts what is bad at the step at which it comes out, instead of that of the assignment. */
  byEventTime?: boolean
  /** The step at the time of a conversation, by its index, instead of by advancing. */
  stepAt?: (index: number) => number
  /** From the start on, a budget has come to its end by a call of the canary, and none by stable. */
  isBudgetBroken?: boolean
  /** How often stable's conversations have turn errors, as counted here. */
  stableErrors?: number
}

interface Counts {
  bad: Record<Counted, Arms>
  trials: Arms & { errors: number }
}

/**
 * One rollout from its start to its end, by the word of the shipped judge. It is asked whenever something of the canary is bad, for
 * evidence grows by nothing else, and whenever it may advance.
 */
export function travel(world: World, random: () => number, departure: Departure = {}): Journey {
  const {
    rollsBack,
    byEventTime = false,
    isBudgetBroken = false,
    stepAt,
    stableErrors = RATES['turn-error'],
  } = departure
  const longest = stepAt ? 4000 : LONGEST
  const steps: Counts[] = STEPS.map(() => structuredClone(noCounts()))
  const recent: boolean[] = []
  const live = start(random, stableErrors)
  const arms: Arms = { canary: 0, control: 0 }
  const opened: { step: number; canary: boolean; failed: boolean }[] = []
  const late = new Map<number, { event: BadEvent; canary: boolean; step: number }[]>()
  let isDue = false
  const count = ({ what, times }: BadEvent, canary: boolean, step: number) => {
    const counts = steps[step]
    if (counts) counts.bad[what][canary ? 'canary' : 'control'] += times
    isDue ||= canary
  }

  for (let index = 0; index < longest; index++) {
    if (stepAt) live.step = stepAt(index)
    const { step } = live
    const { canary, bad } = world(random, weightOf(step), index)
    const arm = canary ? 'canary' : 'control'
    arms[arm] += 1
    const failed = bad.some(({ what }) => what === 'turn-error')
    if (canary) recent.push(failed)
    if (recent.length > 20) recent.shift()
    for (const event of bad) {
      if (event.later === 0) count(event, canary, step)
      else late.set(index + event.later, [...(late.get(index + event.later) ?? []), { event, canary, step }])
    }
    for (const { event, canary: ofCanary, step: assigned } of late.get(index) ?? []) {
      count(event, ofCanary, byEventTime ? live.step : assigned)
    }
    late.delete(index)

    opened.push({ step, canary, failed })
    const closed = opened[index - CLOSES_LATER]
    const trials = closed && steps[closed.step]?.trials
    if (closed && trials) {
      trials[closed.canary ? 'canary' : 'control'] += 1
      if (closed.canary && closed.failed) trials.errors += 1
      isDue ||= closed.canary && trials.canary >= (STEPS[closed.step]?.conversations ?? 0)
    }
    isDue ||= live.status === 'baking' && index * SPACING_MS - live.since >= BAKE_MS
    if (!isDue) continue

    isDue = false
    const now = index * SPACING_MS
    const counters: Counters = { steps, recent, faultsInRow: 0, breachAt: isBudgetBroken ? 0 : null, lastCanaryAt: now }
    const { decision } = judge(live, counters, now)
    const isBack = rollsBack ? rollsBack(counters, arms) : decision === 'roll-back'
    if (isBack) return { outcome: 'rolled-back', canary: arms.canary }
    if (decision !== 'advance' || stepAt) continue
    if (live.status === 'baking') return { outcome: 'stable', canary: arms.canary }
    if (live.step === STEPS.length - 1) live.status = 'baking'
    else live.step += 1
    live.since = now
  }
  return { outcome: stepAt ? 'stable' : 'unresolved', canary: arms.canary }
}

function weightOf(step: number): number {
  return (STEPS[step]?.weight ?? 0) / 100
}

/** With a baseline as it happened to be in that many conversations. */
function start(random: () => number, errorRate: number): { -readonly [Key in keyof Judged]: Judged[Key] } {
  let errors = 0
  for (let trial = 0; trial < BASELINE_TRIALS; trial++) if (random() < errorRate) errors += 1
  return {
    ...{ candidate: { version: 'v2', hash: 'hash' }, status: 'canary', paused: null, step: 0, steps: STEPS },
    ...{ bakeMs: BAKE_MS, waived: [], since: 0 },
    baseline: {
      ...{ trials: BASELINE_TRIALS, errorRate: errors / BASELINE_TRIALS },
      ...{ firstTokenMs: { p50: 300, p90: 900 }, costUsd: { p50: 0.001, p90: 0.004 } },
    },
  }
}
