import type { Log } from '#log.ts'

/** The closed list of what is told within the process: facts, after they have happened, for whoever subscribes. No content. */
export interface Facts {
  'turn.ended': TurnEnded
  'relay.ended': RelayEnded
  'run.settled': RunSettled
  'feedback.given': FeedbackGiven
  'budget.reached': BudgetReached
  'rollout.moved': RolloutMoved
  'rollout.strayed': RolloutStrayed
  'kill-switch.set': KillSwitchSet
  'audit.broken': AuditBroken
  'identity.away': IdentityAway
}

/** Which version a unit was served from, and where it counts: see `#config/serving.ts`. */
export interface Served {
  config: string
  arm: 'stable' | 'canary'
  /** `rollout.step` at whose weight the unit was assigned; `''` and `picked` are not counted. */
  cohort: string
  /** What is judged as one: the conversation, or the turn (or relay) that stands alone. */
  unit: string
}

/** One call of a model, as a receipt has it. */
export interface SpentSegment {
  /** Its name in the config version. */
  model: string
  inputTokens: number
  outputTokens: number
  /** By the prices of the version that served it. */
  costUsd: number
  /** Set where we counted, since the provider gave no count. */
  estimated?: true
  /** Who was asked, how it went and how long it took; absent where only the bill is told. */
  call?: {
    provider: string
    outcome: 'completed' | 'failed' | 'cancelled'
    reason?: string | undefined
    /** From the opening of the call. */
    firstTokenMs?: number | undefined
    durationMs: number
  }
}

/**
 * What goes wrong alike each time, and no fallback mends: told also where a fallback model answered all the same.
 * `misconfigured`: the provider refused the model itself (401, 403, 404 and the like). `rejected`: it refused as invalid (400,
 * 413, 422) what the version made of a message: parameters, or the schema of an action; told only where the caller's part
 * was nothing but text, or the provider names the tools, and all of them are ours.
 */
export interface DeterministicFault {
  /** Its name in the config version. */
  model: string
  kind: 'misconfigured' | 'rejected'
}

/**
 * Told at least once of each turn, once it is committed, by whichever replica ended it or found it ended: who counts, counts by
 * `turn`.
 */
export interface TurnEnded extends Served {
  turn: string
  conversation: string | null
  /** `partitionOf` the principal: tells people apart, and names nobody. */
  principal: string
  tenant: string
  /** Ids of the principal's Entra groups, where the token named them. */
  groups?: readonly string[]
  specialist: string
  status: 'completed' | 'failed' | 'cancelled'
  /** Of a completed turn. */
  finish: string | null
  /** Of a failed one, from the catalogue. */
  code: string | null
  /** Every call of a model, failed and cancelled ones too. */
  segments: readonly SpentSegment[]
  /** One for each call that failed so. Judge a version by these as well: a turn that ended well may have some. */
  faults: readonly DeterministicFault[]
  /** From the turn's start to its first visible text; null when there was none, or another replica had begun it. */
  firstTokenMs: number | null
  startedAt: number
  endedAt: number
}

/** A request that was passed through without a turn. Told once, by the replica that served it; a crash loses it. */
export type RelayEnded = Omit<TurnEnded, 'turn' | 'conversation' | 'specialist'> & { addressee: string }

/** A run came to rest; told at least once, also after the turn that asked has ended. */
export interface RunSettled extends Served {
  run: string
  action: string
  status: string
  reason: string | null
  principal: string
  tenant: string
  settledAt: number
}

export interface FeedbackGiven extends Served {
  turn: string
  rating: 'up' | 'down'
  at: number
}

/** So much of a budget is spent; each level is told once, by the replica whose call reached it. */
export interface BudgetReached {
  tenant: string
  /** `tenant:<tid>`, `group:<tid>:<id>`, `user:<tid>:<oid>`. */
  scope: string
  percent: number
  spentUsd: number
  limitUsd: number
  /** Of the call that reached it. */
  served?: Served
  at: number
}

/** A step of a rollout holds from now on, written or only ordered; told by each replica that comes to know of it within the hour. */
export interface RolloutMoved {
  /** The tenant that operates. */
  tenant: string
  rollout: string | null
  candidate: string | null
  from: string
  to: string
  /** Why, where nobody but the system decided; null where a person did. */
  because: string | null
  at: number
}

/** What the store has as the state of rollouts was written by others, and is not followed; told again and again, by each replica. */
export interface RolloutStrayed {
  /** The tenant that operates. */
  tenant: string
  state: 'unreadable' | 'diverged'
  at: number
}

/** An operator has stopped something; told once. */
export interface KillSwitchSet {
  /** The operator's. */
  tenant: string
  scope: string
  at: number
}

/** The audit log of a tenant is not what was written; told each time that somebody finds it so. */
export interface AuditBroken {
  tenant: string
  seq: number
  because: string
  at: number
}

/** The keys that a tenant's tokens are signed with cannot be had; told at each try, and once when they can again. */
export interface IdentityAway {
  tenant: string
  /** Those of before will do for a day; else nobody of the tenant gets in. */
  hasKeys: boolean
  /** They can be had again. */
  isOver: boolean
  at: number
}

export interface Events {
  /** Tells every listener at once. Never throws: what a listener throws is logged. */
  emit<Name extends keyof Facts>(name: Name, fact: Facts[Name]): void
  /** The result ends it. */
  on<Name extends keyof Facts>(name: Name, listener: (fact: Facts[Name]) => void): () => void
}

type Listeners = { [Name in keyof Facts]: Set<(fact: Facts[Name]) => void> }

export function createEvents(log: Log): Events {
  const listeners: Listeners = {
    'turn.ended': new Set(),
    'relay.ended': new Set(),
    'run.settled': new Set(),
    'feedback.given': new Set(),
    'budget.reached': new Set(),
    'rollout.moved': new Set(),
    'rollout.strayed': new Set(),
    'kill-switch.set': new Set(),
    'audit.broken': new Set(),
    'identity.away': new Set(),
  }
  return {
    emit(name, fact) {
      for (const listener of listeners[name]) {
        try {
          listener(fact)
        } catch (error) {
          log.error({ err: error, fact: name }, 'A listener to what happened failed')
        }
      }
    },
    on(name, listener) {
      listeners[name].add(listener)
      return () => listeners[name].delete(listener)
    },
  }
}
