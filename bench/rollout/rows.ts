import {
  canaryFallsBack,
  clustered,
  drawnByTurn,
  errorsOnly,
  late,
  newSpecialist,
  peekedZTest,
  RATE_WITH_FALLBACKS,
  stableFallsBack,
  steppingBack,
} from './breaking.ts'
import type { Departure } from './journey.ts'
import { ordinary, RATES, type World } from './world.ts'

export interface Row {
  what: string
  /** How it is judged, where that is not as shipped. */
  judged?: string
  /** As it is claimed in the design; undefined where nothing is. */
  claimed?: string
  world: World
  departure?: Departure
  /** A sound version: of it, more than one in a hundred rolled back would break the promise. */
  sound: boolean
}

const ERRORS = RATES['turn-error']
const worse = (points: number) => ordinary((canary) => (canary ? Math.min(1, ERRORS + points / 100) : ERRORS))
const outage = ordinary((_, index) => (index >= 300 && index < 500 ? 25 * ERRORS : ERRORS))
const byEventTime = true
const isBudgetBroken = true

/**
 * As shipped, all six metrics judged. Whatever befalls both arms alike, each metric's E passes its limit with a probability of at
 * most its share, so six together do with at most 1 %: the promise. How far below that a row comes to lie depends on its rates and on
 * how many conversations a journey takes: a shared outage makes more bad conversations, hence more chances to come closer to the
 * limit of turn errors, which alone may cost 0.30 %.
 */
export const shipped: readonly Row[] = [
  { what: 'sound version', claimed: '0.26 %', world: ordinary(), sound: true },
  { what: 'shared outage: errors ×25 for 200 conversations', claimed: '0.20 %', world: outage, sound: true },
  {
    what: 'sound version, by whose call a budget ended',
    world: ordinary(),
    departure: { isBudgetBroken },
    sound: true,
  },
  { what: '+99 points of errors', claimed: '4', world: worse(99), sound: false },
  { what: '+20 points of errors', claimed: '19', world: worse(20), sound: false },
  { what: '+10 points of errors', claimed: '49', world: worse(10), sound: false },
  { what: '+5 points of errors', claimed: '135', world: worse(5), sound: false },
]

/** Turn errors alone, so that what differs is the method; each beside what is shipped. */
export const alternatives: readonly (readonly [shipped: Row, breaking: Row])[] = [
  [
    { what: 'sound version', world: errorsOnly(), sound: true },
    { what: 'z-test, looked at after each conversation', world: errorsOnly(), departure: peekedZTest, sound: true },
  ],
  [
    { what: 'sound version, failures of a conversation clustered', world: clustered(false), sound: true },
    { what: 'counting turns instead of conversations', claimed: '31 %', world: clustered(true), sound: true },
  ],
  [
    { what: 'sound version, each turn may fail', world: drawnByTurn('both'), sound: true },
    { what: 'pinning the canary alone', world: drawnByTurn('canary'), sound: true },
  ],
  [
    { what: 'sound version, failures late', world: late(), sound: true },
    { what: 'strata by event time', world: late(), departure: { byEventTime }, sound: true },
  ],
  [
    {
      what: 'sound version, failures late, stepped back from 50 % to 5 %',
      world: late(),
      departure: { stepAt: steppingBack },
      sound: true,
    },
    { what: 'strata by event time', world: late(), departure: { byEventTime, stepAt: steppingBack }, sound: true },
  ],
  [
    { what: '+5 points of errors, late', world: late(0.06), sound: false },
    { what: 'strata by event time', world: late(0.06), departure: { byEventTime }, sound: false },
  ],
  [
    {
      what: 'sound version beside a stable that falls back',
      world: stableFallsBack(false),
      departure: { stableErrors: RATE_WITH_FALLBACKS },
      sound: true,
    },
    { what: 'dropping conversations that a fallback answered', world: stableFallsBack(true), sound: true },
  ],
  [
    {
      what: '+10 points of errors, in conversations that a fallback answered',
      world: canaryFallsBack(false),
      sound: false,
    },
    { what: 'dropping conversations that a fallback answered', world: canaryFallsBack(true), sound: false },
  ],
  [
    {
      what: 'sound version with a new specialist',
      judged: 'counting none of its conversations',
      world: newSpecialist(false),
      sound: true,
    },
    {
      what: 'counting those of its conversations that were drawn to the canary',
      world: newSpecialist(true),
      sound: true,
    },
  ],
]
