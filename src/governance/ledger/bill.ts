import type { RelayEnded, SpentSegment, TurnEnded } from '#events/events.ts'
import type { CopyEnded, LedgerEntry } from '../ledger.ts'

/**
 * What one turn, or one request that was passed through, cost: its entries are kept together or not at all. Several that nobody
 * tells again may be one, under the name of the first.
 */
export interface Bill {
  tenant: string
  turn: string
  entries: readonly LedgerEntry[]
}

export function billOfTurn(fact: TurnEnded): Bill {
  return billOf(fact, fact.turn, fact.specialist)
}

/** One that was passed through has an id of its own: what it would be judged as. */
export function billOfRelay(fact: RelayEnded): Bill {
  return billOf(fact, fact.unit, fact.addressee)
}

/** Nobody's: whose turn was copied is not kept. */
export function billOfCopy(fact: CopyEnded): Bill {
  return billOf({ ...fact, principal: '', arm: 'shadow' }, fact.copy, fact.specialist)
}

type Spent = Pick<TurnEnded, 'tenant' | 'principal' | 'groups' | 'config' | 'segments' | 'endedAt'> &
  Pick<LedgerEntry, 'arm'>

function billOf(fact: Spent, turn: string, specialist: string): Bill {
  const { tenant, principal: user, groups = [], config, arm, segments, endedAt: at } = fact
  const shared = { turn, at, user, groups, specialist, config, arm }
  const entries = segments.map((segment, index) => ({ ...shared, segment: index, ...figuresOf(segment) }))
  return { tenant, turn, entries }
}

function figuresOf({ model, inputTokens, outputTokens, costUsd, estimated, call }: SpentSegment) {
  const outcome = call?.outcome ?? 'completed'
  return { model, inputTokens, outputTokens, costUsd, outcome, estimated: estimated === true }
}
