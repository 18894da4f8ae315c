import type { Reader } from './reader.ts'

/** What the environment asks of every rollout: a version may ask for more. */
export interface RolloutEnv {
  /** By which a version is held at least. None: a version without steps serves everyone as soon as it is found. */
  floors: readonly { weight: number; conversations: number }[]
  /** Whether versions that guard less need a second operator. */
  secondOperator: boolean
  /** Whether a version that is found starts its rollout by itself. */
  starts: 'by-itself' | 'by-hand'
  /** Whose first turn in a step is a trial. One person, or one batch client, has many conversations. */
  trialOf: 'principal' | 'conversation'
  /** How long after its end a trial is open for what comes late. */
  trialClosesMs: number
  bakeMs: number
  /** What Event Grid sends as its key at present; undefined: it is not listened to. */
  eventGridKey: string | undefined
}

/** The most that a version which is tried in the shadow may be given; with a budget of 0, none is tried. */
export interface ShadowEnv {
  budgetUsd: number
  turns: number
}

export function hasBlobStore(read: Reader): boolean {
  return (read.text('AZURE_STORAGE_CONNECTION_STRING') ?? read.text('AZURE_STORAGE_ACCOUNT_URL')) !== undefined
}

/** Floors as `weight:conversations` by comma, such as `5:50,25:100,50:200`, or `none`. With a blob store they are on unless said otherwise. */
export function readRollout(read: Reader, faults: string[]): RolloutEnv {
  const isShared = hasBlobStore(read)
  const given = read.text('PARLEY_ROLLOUT_FLOORS') ?? (isShared ? '5:50,25:100,50:200' : 'none')
  const floors = given === 'none' ? [] : given.split(',').map((step) => step.split(':').map(Number))
  const isSound = floors.every(
    ([weight = 0, conversations = 0, ...more], index) =>
      weight > (floors[index - 1]?.[0] ?? 0) &&
      weight < 100 &&
      Number.isInteger(conversations) &&
      conversations >= 1 &&
      more.length === 0,
  )
  if (!isSound)
    faults.push('PARLEY_ROLLOUT_FLOORS has to be weight:conversations by comma, weights rising below 100, or none')
  return {
    floors: floors.map(([weight = 0, conversations = 0]) => ({ weight, conversations })),
    secondOperator: read.oneOf('PARLEY_SECOND_OPERATOR', ['true', 'false'], isShared ? 'true' : 'false') === 'true',
    starts: read.oneOf('PARLEY_ROLLOUT_STARTS', ['by-itself', 'by-hand'], 'by-itself'),
    trialOf: read.oneOf('PARLEY_ROLLOUT_TRIALS', ['principal', 'conversation'], 'principal'),
    trialClosesMs: read.integer('PARLEY_ROLLOUT_CLOSES_MS', 900_000, 0, 86_400_000),
    bakeMs: read.integer('PARLEY_ROLLOUT_BAKE_MS', 900_000, 0, 604_800_000),
    get eventGridKey() {
      return read.text('PARLEY_EVENT_GRID_KEY')
    },
  }
}

export function readShadow(read: Reader): ShadowEnv {
  return {
    budgetUsd: read.integer('PARLEY_SHADOW_USD', 10, 0, 1_000_000),
    turns: read.integer('PARLEY_SHADOW_TURNS', 1000, 1, 1_000_000),
  }
}
