import type { Owner } from '#identity/principal.ts'
import { partitionOf } from '#identity/principal.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { Kv } from '#platform/kv/kv.ts'
import type { Sql } from '#platform/sql/sql.ts'
import type { AuditEntry } from '../audit.ts'
import type { Consents, Eraser, Erasures, Exporter, Exports } from '../privacy.ts'
import { createConsents } from './consents.ts'
import { createErasures } from './erasures.ts'
import { createExports } from './export.ts'
import { createKvRecords } from './kv-records.ts'
import { eraseLiveState } from './live-state.ts'
import { createSqlRecords } from './sql-records.ts'

export interface PrivacyOptions {
  kv: Kv
  /** Where there is a PostgreSQL. */
  sql: Sql | undefined
  clock: Clock
  log: Log
  /** Resolves once it is kept. */
  record(entry: AuditEntry): Promise<void>
  destroyKey(owner: Owner): Promise<void>
  hasKey(owner: Owner): Promise<boolean>
  /** What the parts of the process have of people beside the live state. */
  erasers: readonly Eraser[]
  exporters: readonly Exporter[]
}

export interface Privacy {
  consents: Consents
  erasures: Erasures
  exports: Exports
}

/** What people may ask of us about what is theirs. */
export function openPrivacy(options: PrivacyOptions): Privacy {
  const { kv, sql, clock, log, record, destroyKey, hasKey, erasers, exporters } = options
  const records = sql ? createSqlRecords(sql) : createKvRecords(kv)
  const note = (entry: AuditEntry) =>
    record(entry).catch((error) => log.error({ err: error, kind: entry.kind }, 'What happened could not be recorded'))
  const consents = createConsents({ records, clock, log, note })
  const ofRecords: Eraser = {
    place: 'consents',
    erase: async (owner) => {
      const at = { tenant: owner.tenant, person: partitionOf(owner), name: 'consents' }
      return (await records.remove(at)) ? 1 : 0
    },
  }
  const ofLiveState: Eraser = { place: 'live-state', erase: (owner) => eraseLiveState(kv, owner) }
  // What is kept for long first: the live state takes things back from there.
  const allErasers = [...erasers, ofLiveState, ofRecords]
  const ofConsents: Exporter = {
    part: 'consents',
    async *items(person) {
      yield* await consents.list(person)
    },
  }
  return {
    consents,
    erasures: createErasures({ records, destroyKey, hasKey, erasers: allErasers, clock, log, record }),
    exports: createExports({ exporters: [...exporters, ofConsents], clock, record }),
  }
}
