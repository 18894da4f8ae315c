import type { Clock } from '#platform/clock.ts'
import type { Kv } from '#platform/kv/kv.ts'
import { sumDecimals } from '../decimals.ts'
import type { LedgerEntry, Period, UsageSum, UsageTotal } from '../ledger.ts'
import { keepBill, ledgerKeys, listMonths } from './kv-keep.ts'
import { dayOf } from './sql-store.ts'
import type { LedgerStore } from './store.ts'

/** Of bills, each with up to a hundred entries. */
const PAGE = 100

export interface KvLedgerOptions {
  kv: Kv
  clock: Clock
  /** How long entries are kept. */
  keepMs: number
}

/** In the live state's store: for a machine of one's own, where a chat that calls no actions does not open a database. */
export function createKvLedger({ kv, clock, keepMs }: KvLedgerOptions): LedgerStore {
  /** A month goes as a whole, once its last day is past its time. */
  function untilPast(at: number): number {
    const date = new Date(at)
    const end = Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1)
    return Math.max(1, Math.ceil(end + keepMs - clock.now()))
  }

  async function* turns(
    tenant: string,
    { from, to }: Period,
  ): AsyncGenerator<{ turn: string; entries: LedgerEntry[] }[]> {
    const keys = ledgerKeys(tenant)
    for (const month of await kv.run(listMonths, [keys.months], [])) {
      if (month < monthOf(from) || month > monthOf(to)) continue
      for (let after = -1; ; ) {
        const page = await kv.read(keys.month(month), after, PAGE)
        const ids = page.map(({ body }) => body.toString())
        const kept = await Promise.all(ids.map((turn) => kv.get(keys.turn(turn))))
        yield ids.map((turn, at) => ({ turn, entries: decode(kept[at]?.value) }))
        after = page.at(-1)?.position ?? after
        if (page.length < PAGE) break
      }
    }
  }

  async function* entries(tenant: string, period: Period): AsyncGenerator<LedgerEntry[]> {
    for await (const page of turns(tenant, period)) {
      const within = page.flatMap((one) => one.entries).filter(({ at }) => at >= period.from && at < period.to)
      if (within.length > 0) yield within.sort((a, b) => a.at - b.at)
    }
  }

  /** Of one bill, in which others that go at the same time may have entries as well. */
  async function disownOf(tenant: string, turn: string, user: string): Promise<number> {
    const at = ledgerKeys(tenant).turn(turn)
    for (;;) {
      const found = await kv.get(at)
      const kept = decode(found?.value)
      const theirs = kept.filter((entry) => entry.user === user)
      const [first] = theirs
      if (!found || !first) return 0
      const nobodys = kept.map((entry) => (entry.user === user ? { ...entry, user: '' } : entry))
      const options = { ifVersion: found.version, ttlMs: untilPast(first.at) }
      if (await kv.put(at, Buffer.from(JSON.stringify(nobodys)), options)) return theirs.length
    }
  }

  return {
    async keep(bills) {
      const keeping = bills.map(({ tenant, turn, entries: kept }) => {
        const [first] = kept
        if (!first) return undefined
        const keys = ledgerKeys(tenant)
        const month = monthOf(first.at)
        const args = [month, month.replace('-', ''), turn, JSON.stringify(kept), untilPast(first.at)]
        return kv.run(keepBill, [keys.months, keys.month(month), keys.turn(turn)], args)
      })
      await Promise.all(keeping)
    },

    async spent(tenant, { user, group }, since) {
      const costs: number[] = []
      for await (const page of entries(tenant, { from: since, to: END_OF_TIME })) {
        for (const entry of page) {
          const isTheirs = (user === undefined || entry.user === user) && entry.arm !== 'shadow'
          if (isTheirs && (group === undefined || entry.groups.includes(group))) costs.push(entry.costUsd)
        }
      }
      return sumDecimals(costs)
    },

    async usage(tenant, { user }, period) {
      const groups = new Map<string, LedgerEntry[]>()
      for await (const page of entries(tenant, period)) {
        for (const entry of page) {
          if (user !== undefined && entry.user !== user) continue
          const place = JSON.stringify([dayOf(entry.at), entry.specialist, entry.model, entry.arm === 'shadow' ? 1 : 0])
          groups.getOrInsertComputed(place, () => []).push(entry)
        }
      }
      return [...groups]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .flatMap(([, group]) => (group[0] ? [sumOf(group[0], group)] : []))
    },

    async total(tenant, { user }, period) {
      const all: LedgerEntry[] = []
      for await (const page of entries(tenant, period)) {
        all.push(...page.filter((entry) => user === undefined || entry.user === user))
      }
      return totalOf(all)
    },

    entries,
    prune: async () => 0,

    async disown(tenant, user) {
      let disowned = 0
      for await (const page of turns(tenant, { from: 0, to: END_OF_TIME })) {
        for (const { turn, entries: kept } of page) {
          if (kept.some((entry) => entry.user === user)) disowned += await disownOf(tenant, turn, user)
        }
      }
      return disowned
    },
  }
}

const END_OF_TIME = Date.UTC(9999, 11, 31)

function monthOf(at: number): string {
  return new Date(at).toISOString().slice(0, 7)
}

function decode(value: Buffer | undefined): LedgerEntry[] {
  return value ? (JSON.parse(value.toString()) as LedgerEntry[]) : []
}

function sumOf({ at, specialist, model, arm }: LedgerEntry, group: readonly LedgerEntry[]): UsageSum {
  return { day: dayOf(at), specialist, model, ...totalOf(group), ...(arm === 'shadow' && { shadow: true }) }
}

function totalOf(group: readonly LedgerEntry[]): UsageTotal {
  const sum = (of: (entry: LedgerEntry) => number) => group.reduce((total, entry) => total + of(entry), 0)
  return {
    calls: group.length,
    inputTokens: sum((entry) => entry.inputTokens),
    outputTokens: sum((entry) => entry.outputTokens),
    costUsd: sumDecimals(group.map((entry) => entry.costUsd)),
  }
}
