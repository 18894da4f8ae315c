import { ParleyError } from '#errors.ts'
import type { Sql } from '#platform/sql/sql.ts'
import type { Budget, BudgetTerms, Override } from '../budgets.ts'
import { toMicro, toUsd } from './micro.ts'
import { tenantOf } from './scope.ts'

interface Row {
  scope: string
  limit_micro: number
  period: Budget['period']
  version: number
  override_micro: number | null
  override_until: number | null
  override_reason: string | null
}

const COLUMNS = 'scope, limit_micro, period, version, override_micro, override_until, override_reason'

/** Budgets as operators set them. */
export function createKeptBudgets(sql: Sql) {
  async function changed(scope: string, rows: readonly Row[]): Promise<Budget> {
    const [row] = rows
    if (row) return budgetOf(row)
    const found = await sql.query({ tenant: tenantOf(scope) }, 'SELECT 1 FROM budgets WHERE scope = $1', [scope])
    throw new ParleyError(found.length === 0 ? 'not_found' : 'version_conflict')
  }

  return {
    async all(): Promise<Budget[]> {
      return (await sql.query<Row>('system', `SELECT ${COLUMNS} FROM budgets ORDER BY scope`)).map(budgetOf)
    },

    /** Undefined when there is one already. */
    async create(scope: string, { limitUsd, period }: BudgetTerms): Promise<Budget | undefined> {
      const tenant = tenantOf(scope)
      const [row] = await sql.query<Row>(
        { tenant },
        `INSERT INTO budgets (tenant, scope, limit_micro, period) VALUES ($1, $2, $3, $4)
         ON CONFLICT DO NOTHING RETURNING ${COLUMNS}`,
        [tenant, scope, toMicro(limitUsd), period],
      )
      return row && budgetOf(row)
    },

    async change(scope: string, { limitUsd, period }: BudgetTerms, ifVersion: number): Promise<Budget> {
      const rows = await sql.query<Row>(
        { tenant: tenantOf(scope) },
        `UPDATE budgets SET limit_micro = $2, period = $3, version = version + 1
         WHERE scope = $1 AND version = $4 RETURNING ${COLUMNS}`,
        [scope, toMicro(limitUsd), period, ifVersion],
      )
      return changed(scope, rows)
    },

    async override(scope: string, { addUsd, until, reason }: Override, ifVersion: number): Promise<Budget> {
      const rows = await sql.query<Row>(
        { tenant: tenantOf(scope) },
        `UPDATE budgets SET override_micro = $2, override_until = $3, override_reason = $4, version = version + 1
         WHERE scope = $1 AND version = $5 RETURNING ${COLUMNS}`,
        [scope, toMicro(addUsd), until, reason, ifVersion],
      )
      return changed(scope, rows)
    },

    async remove(scope: string, ifVersion: number): Promise<void> {
      const rows = await sql.query<Row>(
        { tenant: tenantOf(scope) },
        `DELETE FROM budgets WHERE scope = $1 AND version = $2 RETURNING ${COLUMNS}`,
        [scope, ifVersion],
      )
      await changed(scope, rows)
    },
  }
}

export type KeptBudgets = ReturnType<typeof createKeptBudgets>

function budgetOf(row: Row): Budget {
  const { scope, limit_micro, period, version, override_micro, override_until, override_reason } = row
  const isOverridden = override_micro !== null && override_until !== null
  return {
    scope,
    limitUsd: toUsd(limit_micro),
    period,
    version,
    override: isOverridden
      ? { addUsd: toUsd(override_micro), until: override_until, reason: override_reason ?? '' }
      : null,
  }
}
