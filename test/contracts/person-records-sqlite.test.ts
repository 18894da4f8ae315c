import { createKvRecords } from '#governance/privacy/kv-records.ts'
import { createLog } from '#log.ts'
import { createKv } from '#platform/kv/create-kv.ts'
import { SqliteEngine } from '#platform/kv/sqlite.ts'
import { manualClock } from '../support/clock.ts'
import { recordsSuite } from './privacy/records.ts'

recordsSuite('SQLite', async () => {
  const kv = createKv(new SqliteEngine({ path: ':memory:', clock: manualClock(), log: createLog('silent') }))
  return { records: createKvRecords(kv), close: () => kv.close() }
})
