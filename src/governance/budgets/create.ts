import { ParleyError } from '#errors.ts'
import type { Events, Served } from '#events/events.ts'
import { type Principal, partitionOf } from '#identity/principal.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { Kv } from '#platform/kv/kv.ts'
import type { Sql } from '#platform/sql/sql.ts'
import type { AuditEntry } from '../audit.ts'
import {
  type Budget,
  type Budgets,
  type BudgetTerms,
  type BudgetView,
  budgetLevels,
  type Spending,
} from '../budgets.ts'
import type { Ledger } from '../ledger.ts'
import type { Stop, Stops } from '../stops.ts'
import { BudgetBook } from './book.ts'
import type { Settled } from './counters.ts'
import { createKeptBudgets } from './kept.ts'
import { toUsd } from './micro.ts'
import { effectiveLimit, periodOf } from './period.ts'
import { settable, tenantOf } from './scope.ts'
import { Till } from './till.ts'

export interface BudgetsOptions {
  sql: Sql
  kv: Kv
  clock: Clock
  log: Log
  events: Pick<Events, 'emit'>
  stops: Pick<Stops, 'get' | 'set' | 'lift'>
  spent: Ledger['spent']
  /** What is set, and above all overridden, is not set unseen. */
  audit(entry: AuditEntry): Promise<void>
  /** There may be budgets already. */
  awake: boolean
  /** No other process sets any. */
  alone: boolean
}

const CUT_AT = 110
/** Of the second that a cut may take. */
const LOOK_FOR_MS = 300

export function createBudgets(options: BudgetsOptions): Budgets {
  const { sql, kv, clock, log, events, stops, spent, audit, awake, alone } = options
  const kept = createKeptBudgets(sql)
  const book = new BudgetBook({ kept, clock, log, awake, alone })
  const cutting = new Map<string, Promise<void>>()
  const till = new Till({ kv, clock, log, spent, present: (budget) => found(budget) ?? budget, onSettled })

  /** An answer goes on for minutes, and its budgets may be other ones by now, or none. */
  function found(budget: Budget): Budget | undefined {
    return isKeysOwn(budget) ? budget : book.get(budget.scope)
  }

  function onSettled(budget: Budget, { before, after, spent: micro }: Settled, served: Served | undefined): void {
    const now = clock.now()
    const { scope } = budget
    const limitUsd = effectiveLimit(budget, now)
    for (const percent of budgetLevels) {
      if (percent <= before || percent > after) continue
      events.emit('budget.reached', {
        tenant: tenantOf(scope),
        scope,
        percent,
        spentUsd: toUsd(micro),
        limitUsd,
        ...(served && { served }),
        at: now,
      })
    }
    if (after < CUT_AT || cutting.has(scope) || stops.get(`budget:${scope}`)) return
    const cutNow = cut(budget, toUsd(micro))
      .catch((error) => log.error({ err: error }, 'Answers over budget could not be cut'))
      .finally(() => cutting.delete(scope))
    cutting.set(scope, cutNow)
  }

  /**
   * What was metered late has passed the limit by far: answers under way end, on every replica. Each settlement past the limit sees
   * to it: the one before may not have reached the store, or an override that let them go on has ended. One that has just begun
   * elsewhere is looked for, though not for long: nobody is cut by terms of before. What was decided while the cut was on its way
   * came too early to lift it, so it is looked for once more.
   */
  async function cut(budget: Budget, spentUsd: number): Promise<void> {
    if (!isKeysOwn(budget)) await lookAtMost(LOOK_FOR_MS)
    const stop = stopOf(budget, spentUsd)
    if (!stop) return
    await stops.set(stop)
    if (isKeysOwn(budget)) return
    await book.look()
    if (!stopOf(budget, spentUsd)) await stops.lift(stop.scope)
  }

  async function lookAtMost(forMs: number): Promise<void> {
    const isLate = Promise.withResolvers<void>()
    const cancel = clock.after(forMs, isLate.resolve)
    await Promise.race([isLate.promise, book.look().catch(() => {})])
    cancel()
  }

  /** By the terms of now; undefined where they leave room, or the budget was removed. */
  function stopOf(budget: Budget, spentUsd: number): Stop | undefined {
    const at = clock.now()
    const terms = found(budget)
    if (!terms || spentUsd * 100 < effectiveLimit(terms, at) * CUT_AT) return undefined
    const until = periodOf(terms, at).end
    return { scope: `budget:${terms.scope}`, reason: 'over budget', by: null, at, until }
  }

  async function viewOf(budget: Budget): Promise<BudgetView> {
    const { spent: micro, reserved } = await till.read(budget)
    return { ...budget, spentUsd: toUsd(micro), reservedUsd: toUsd(reserved) }
  }

  /** Kept and in force on this replica; others hear of it within 2 s. What was cut may go on by the new terms. */
  async function changed(budget: Budget): Promise<BudgetView> {
    await book.look()
    await stops.lift(`budget:${budget.scope}`)
    return viewOf(budget)
  }

  async function removed(scope: string): Promise<void> {
    await book.look()
    await stops.lift(`budget:${scope}`)
  }

  /**
   * Whoever sets one, or has it count by another part of the calendar, finds what was spent, and not what was counted when there was
   * such a one before: nobody has counted since.
   */
  async function countAnew(scope: string, { period }: BudgetTerms): Promise<void> {
    await book.look()
    if (book.get(scope)?.period !== period) await till.forget({ scope, period })
  }

  function entryOf(by: Principal, kind: AuditEntry['kind'], scope: string, details: AuditEntry['details']): AuditEntry {
    const { tenant } = by
    return { tenant, kind, actor: partitionOf(by), subject: scope, at: clock.now(), ...(details && { details }) }
  }

  return {
    async check(principal) {
      await book.ready()
      const { tenant, groupsAmong } = principal
      if (groupsAmong && !book.groups(tenant).every((group) => groupsAmong.includes(group))) {
        throw new ParleyError('groups_unknown')
      }
      const budgets = book.of(principal)
      if (budgets.length > 0) await till.reserve(budgets, 0)
    },

    spending(principal, served) {
      const budgets = book.of(principal)
      return budgets.length > 0 ? spendingFrom(till, budgets, found, served) : undefined
    },

    groups: (tenant) => book.groups(tenant),

    async list() {
      if (awake) await book.look()
      return Promise.all(book.all().map(viewOf))
    },

    async set(by, given, terms, ifVersion) {
      const scope = settable(given)
      const { limitUsd, period } = terms
      await audit(entryOf(by, 'budget.set', scope, { limitUsd, period }))
      await countAnew(scope, terms)
      if (ifVersion !== undefined) return changed(await kept.change(scope, terms, ifVersion))
      const created = await kept.create(scope, terms)
      if (!created) throw new ParleyError('precondition_required', { param: 'if-match' })
      return changed(created)
    },

    async override(by, given, override, ifVersion) {
      const scope = settable(given)
      const { addUsd, until } = override
      await audit(entryOf(by, 'budget.overridden', scope, { addUsd, until }))
      return changed(await kept.override(scope, override, ifVersion))
    },

    async remove(by, given, ifVersion) {
      const scope = settable(given)
      await audit(entryOf(by, 'budget.set', scope, { removed: true }))
      try {
        await kept.remove(scope, ifVersion)
      } catch (error) {
        // Whoever removed it may not have got as far as lifting the cut.
        if (error instanceof ParleyError && error.code === 'not_found') await removed(scope)
        throw error
      }
      await removed(scope)
    },

    async close() {
      till.close()
      await Promise.all([book.close(), ...cutting.values()])
    },
  }
}

/** Made with its key, it is not in the book. */
function isKeysOwn({ version }: Budget): boolean {
  return version === 0
}

function spendingFrom(
  till: Till,
  budgets: readonly Budget[],
  found: (budget: Budget) => Budget | undefined,
  served: Served,
): Spending {
  const reserved: { id: string; budgets: readonly Budget[] }[] = []
  return {
    async reserve(usd) {
      const left = budgets.flatMap((budget) => found(budget) ?? [])
      const id = left.length > 0 ? await till.reserve(left, usd) : crypto.randomUUID()
      reserved.push({ id, budgets: left })
    },
    settle(usd) {
      const call = reserved.shift()
      if (call) till.settle(call.budgets, call.id, usd, served)
    },
    charge(usd) {
      till.settle(budgets, crypto.randomUUID(), usd, served)
    },
    close() {
      for (const { id, budgets } of reserved.splice(0)) till.settle(budgets, id, 0)
    },
  }
}
