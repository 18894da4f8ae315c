import type { Sql } from '#platform/sql/sql.ts'
import type { LedgerEntry, Spender, UsageTotal } from '../ledger.ts'
import type { LedgerStore } from './store.ts'

const PAGE = 1000
const DAY_MS = 86_400_000

/** In order of the key, so that two replicas that keep the same do not wait for each other in a circle. */
const KEEP = `
INSERT INTO ledger (tenant, turn, segment, at, person, groups, specialist, config, arm, model, input_tokens, output_tokens,
  cost_usd, outcome, estimated)
SELECT e.tenant, e.turn, e.segment, e.at, e."user", e.groups, e.specialist, e.config, e.arm, e.model, e."inputTokens",
  e."outputTokens", e."costUsd", e.outcome, e.estimated
FROM jsonb_to_recordset($1::jsonb) AS e(tenant text, turn text, segment integer, at bigint, "user" text, groups text[],
  specialist text, config text, arm text, model text, "inputTokens" bigint, "outputTokens" bigint, "costUsd" numeric,
  outcome text, estimated boolean)
ORDER BY e.tenant, e.turn, e.segment
ON CONFLICT DO NOTHING`

const spentBy = (whose: string) =>
  `SELECT coalesce(sum(cost_usd), 0)::text AS usd FROM ledger WHERE tenant = $1 AND at >= $2 AND arm <> 'shadow'${whose}`
const SPENT = spentBy('')
const SPENT_BY_USER = spentBy(' AND person = $3')
const SPENT_BY_GROUP = spentBy(' AND $3 = ANY (groups)')

const SUMS = `count(*) AS calls, coalesce(sum(input_tokens), 0)::bigint AS "inputTokens",
  coalesce(sum(output_tokens), 0)::bigint AS "outputTokens", coalesce(sum(cost_usd), 0)::text AS usd`
const usageOf = (whose: string) => `
SELECT at / ${DAY_MS} AS day, specialist, model, arm = 'shadow' AS shadow, ${SUMS} FROM ledger WHERE tenant = $1 AND at >= $2 AND at < $3${whose}
GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4`
const USAGE = usageOf('')
const USAGE_OF_USER = usageOf(' AND person = $4')

const totalOf = (whose: string) => `SELECT ${SUMS} FROM ledger WHERE tenant = $1 AND at >= $2 AND at < $3${whose}`
const TOTAL = totalOf('')
const TOTAL_OF_USER = totalOf(' AND person = $4')

const ENTRIES = `
SELECT turn, segment, at, person AS "user", groups, specialist, config, arm, model, input_tokens AS "inputTokens",
  output_tokens AS "outputTokens", cost_usd::text AS usd, outcome, estimated
FROM ledger WHERE tenant = $1 AND at >= $2 AND at < $3 AND (at, turn, segment) > ($4::bigint, $5::text, $6::integer)
ORDER BY at, turn, segment LIMIT ${PAGE}`

/** Each tenant once, by leaps over the index. */
const TENANTS = `
WITH RECURSIVE leap AS (
  (SELECT tenant FROM ledger ORDER BY tenant LIMIT 1)
  UNION ALL
  SELECT (SELECT tenant FROM ledger WHERE tenant > leap.tenant ORDER BY tenant LIMIT 1) FROM leap WHERE tenant IS NOT NULL
)
SELECT tenant FROM leap WHERE tenant IS NOT NULL`
const PRUNED_AT_ONCE = 10_000
/** $1 tenant, $2 before, $3 at most. In order of the key, as it is written. */
const PRUNE = `
WITH old AS (
  SELECT turn, segment FROM ledger WHERE tenant = $1 AND at < $2 ORDER BY at, turn, segment LIMIT $3
), gone AS (
  DELETE FROM ledger USING old WHERE tenant = $1 AND ledger.turn = old.turn AND ledger.segment = old.segment RETURNING 1
)
SELECT count(*) AS gone FROM gone`

export function createSqlLedger(sql: Sql): LedgerStore {
  return {
    async keep(bills) {
      const rows = bills.flatMap(({ tenant, entries }) => entries.map((entry) => ({ tenant, ...entry })))
      if (rows.length > 0) await sql.query('system', KEEP, [JSON.stringify(rows)])
    },

    async spent(tenant, whose, since) {
      const [text, by] = condition(whose)
      const [row] = await sql.query<{ usd: string }>({ tenant }, text, [tenant, since, ...by])
      return Number(row?.usd ?? 0)
    },

    async usage(tenant, { user }, { from, to }) {
      type Row = { day: number; specialist: string; model: string; shadow: boolean } & Sums
      const text = user === undefined ? USAGE : USAGE_OF_USER
      const rows = await sql.query<Row>({ tenant }, text, [tenant, from, to, ...(user === undefined ? [] : [user])])
      return rows.map(({ day, usd, shadow, ...sums }) => {
        return { day: dayOf(day * DAY_MS), ...sums, costUsd: Number(usd), ...(shadow && { shadow }) }
      })
    },

    async total(tenant, { user }, { from, to }) {
      const text = user === undefined ? TOTAL : TOTAL_OF_USER
      const params = [tenant, from, to, ...(user === undefined ? [] : [user])]
      const [row = NOTHING] = await sql.query<Sums>({ tenant }, text, params)
      const { usd, ...sums } = row
      return { ...sums, costUsd: Number(usd) }
    },

    async *entries(tenant, { from, to }) {
      type Row = Omit<LedgerEntry, 'costUsd'> & { usd: string }
      for (let after: Pick<LedgerEntry, 'at' | 'turn' | 'segment'> = { at: from, turn: '', segment: -1 }; ; ) {
        const params = [tenant, from, to, after.at, after.turn, after.segment]
        const rows = await sql.query<Row>({ tenant }, ENTRIES, params)
        const last = rows.at(-1)
        if (last) yield rows.map(({ usd, ...entry }) => ({ ...entry, costUsd: Number(usd) }))
        if (!last || rows.length < PAGE) return
        after = last
      }
    },

    async prune(before) {
      let gone = 0
      for (const { tenant } of await sql.query<{ tenant: string }>('system', TENANTS)) {
        if (gone >= PRUNED_AT_ONCE) break
        const params = [tenant, before, PRUNED_AT_ONCE - gone]
        const [row] = await sql.query<{ gone: number }>('system', PRUNE, params)
        gone += row?.gone ?? 0
      }
      return gone
    },

    async disown(tenant, user) {
      const rows = await sql.query(
        { tenant },
        "UPDATE ledger SET person = '' WHERE tenant = $1 AND person = $2 RETURNING segment",
        [tenant, user],
      )
      return rows.length
    },
  }
}

type Sums = Omit<UsageTotal, 'costUsd'> & { usd: string }

const NOTHING: Sums = { calls: 0, inputTokens: 0, outputTokens: 0, usd: '0' }

function condition({ user, group }: Spender): [string, string[]] {
  if (user !== undefined) return [SPENT_BY_USER, [user]]
  return group === undefined ? [SPENT, []] : [SPENT_BY_GROUP, [group]]
}

/** `YYYY-MM-DD`, by UTC. */
export function dayOf(at: number): string {
  return new Date(at).toISOString().slice(0, 10)
}
