import type { LedgerEntry, Period, Spender, UsageSum, UsageTotal } from '../ledger.ts'
import type { Bill } from './bill.ts'

/** Where entries are kept: PostgreSQL, or the live state's store on a machine of one's own; one contract holds both. */
export interface LedgerStore {
  /** All of them, or it rejects; what is there already stays as it is. */
  keep(bills: readonly Bill[]): Promise<void>
  spent(tenant: string, whose: Spender, since: number): Promise<number>
  usage(tenant: string, whose: { user?: string }, period: Period): Promise<UsageSum[]>
  total(tenant: string, whose: { user?: string }, period: Period): Promise<UsageTotal>
  entries(tenant: string, period: Period): AsyncIterable<LedgerEntry[]>
  prune(before: number): Promise<number>
  disown(tenant: string, user: string): Promise<number>
}
