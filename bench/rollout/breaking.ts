import type { Counters } from '../../src/config/rollout/counters.ts'
import type { Arms, Departure } from './journey.ts'
import { turnsOf } from './random.ts'
import { once, RATES, type World } from './world.ts'

/** Worlds in which turn errors alone are judged, and ways of judging them that break what is promised. */

const Z_99 = 2.326
const LEAST_FOR_Z = 20
const MEAN_TURNS = 5
/** How often stable has errors where a tenth of its conversations are answered by a fallback that fails for a fifth. */
export const RATE_WITH_FALLBACKS = 0.1 * 0.2 + 0.9 * RATES['turn-error']

/** Turn errors and nothing else; of stable at its rate, of the canary at this one. */
export function errorsOnly(
  canaryRate: number = RATES['turn-error'],
  later: (random: () => number) => number = () => 0,
): World {
  return (random, weight) => {
    const canary = random() < weight
    const isBad = random() < (canary ? canaryRate : RATES['turn-error'])
    return { canary, bad: isBad ? [once('turn-error', later(random))] : [] }
  }
}

/** Rolls back as soon as a one-sided test of two proportions says p < 0.01, looked at after each bad conversation. */
export const peekedZTest: Departure = {
  rollsBack({ steps }: Counters, arms: Arms): boolean {
    if (arms.canary < LEAST_FOR_Z) return false
    const bad = { canary: 0, control: 0 }
    for (const { bad: counts } of steps) {
      bad.canary += counts['turn-error'].canary
      bad.control += counts['turn-error'].control
    }
    const pooled = (bad.canary + bad.control) / (arms.canary + arms.control)
    const deviation = Math.sqrt(pooled * (1 - pooled) * (1 / arms.canary + 1 / arms.control))
    return bad.canary / arms.canary - bad.control / arms.control > Z_99 * deviation
  },
}

/** One conversation in a hundred goes wrong, and then four of five of its turns do; `each` counts them all. */
export function clustered(each: boolean): World {
  return (random, weight) => {
    const canary = random() < weight
    const turns = turnsOf(random, MEAN_TURNS)
    if (random() >= RATES['turn-error']) return { canary, bad: [] }
    let times = 1
    for (let turn = 1; turn < turns; turn++) if (random() < 0.8) times += 1
    return { canary, bad: [{ what: 'turn-error', times: each ? times : 1, later: 0 }] }
  }
}

/** Each turn has its chance to fail. Where stable is not pinned, each turn of it is drawn anew, and whoever got the canary keeps it. */
export function drawnByTurn(pinned: 'both' | 'canary'): World {
  const failing = RATES['turn-error'] / MEAN_TURNS
  return (random, weight) => {
    const turns = turnsOf(random, MEAN_TURNS)
    let canary = random() < weight
    for (let turn = 0; turn < turns; turn++) {
      if (turn > 0 && pinned === 'canary') canary ||= random() < weight
      if (random() < failing) return { canary, bad: [once('turn-error')] }
    }
    return { canary, bad: [] }
  }
}

/** Fails late in the life of a conversation: 50 minutes after its start, in the mean. */
export function late(canaryRate?: number): World {
  return errorsOnly(canaryRate, (random) => 1 + Math.floor(-Math.log(1 - random()) * 300))
}

/** Half of the conversations for 400 of them, then one in twenty: somebody steps back. */
export const steppingBack = (index: number): number => (index < 400 ? 2 : 0)

/**
 * A tenth of stable's conversations are answered by a fallback, as its first model is in trouble, and a fifth of those fail. The
 * candidate, on another model, fails as often in all. `dropped` leaves out whom a fallback answered.
 */
export function stableFallsBack(dropped: boolean): World {
  const [share, failing] = [0.1, 0.2]
  return (random, weight) => {
    const canary = random() < weight
    const fellBack = !canary && random() < share
    const isBad = random() < (canary ? RATE_WITH_FALLBACKS : fellBack ? failing : RATES['turn-error'])
    return { canary, bad: isBad && !(dropped && fellBack) ? [once('turn-error')] : [] }
  }
}

/** The candidate's first model is broken for a fifth of its conversations; a fallback answers them, and half of those fail. */
export function canaryFallsBack(dropped: boolean): World {
  return (random, weight) => {
    const canary = random() < weight
    const fellBack = canary && random() < 0.2
    const isBad = random() < (fellBack ? 0.5 : RATES['turn-error'])
    return { canary, bad: isBad && !(dropped && fellBack) ? [once('turn-error')] : [] }
  }
}

/**
 * The candidate brings a specialist whom a fifth of the conversations ask for, and who fails one in twenty of them. Whoever asks for
 * it is served by the candidate, whatever was drawn. With `drawn`, those of them count whom the draw gave the candidate, though none
 * that it gave stable can be compared with them; else none of them counts.
 */
export function newSpecialist(drawn: boolean): World {
  return (random, weight) => {
    const canary = random() < weight
    const asked = random() < 0.2
    const isBad = random() < (asked ? 0.05 : RATES['turn-error'])
    const isCounted = !asked || (drawn && canary)
    return { canary, bad: isBad && isCounted ? [once('turn-error')] : [] }
  }
}
