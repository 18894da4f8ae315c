import { after, before } from 'node:test'
import { runMigrations } from '../../src/actions/runs/migrations.ts'
import { createLog } from '../../src/log.ts'
import { systemClock } from '../../src/platform/clock.ts'
import { openQueue } from '../../src/platform/queue/open.ts'
import { openSql } from '../../src/platform/sql/open.ts'
import { startBroker } from '../support/broker/broker.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { type Ground, openGround } from '../support/runs-at-hand.ts'
import { awaitingSuite } from './actions/awaiting.ts'
import { deadLettersSuite } from './actions/dead-letters.ts'
import { decisionsSuite } from './actions/decisions.ts'
import { executionSuite } from './actions/execution.ts'
import { hardeningSuite } from './actions/hardening.ts'
import { outOfReachSuite } from './actions/out-of-reach.ts'
import { pruningSuite } from './actions/pruning.ts'
import { recoverySuite } from './actions/recovery.ts'
import { sendingSuite } from './actions/sending.ts'
import { servingSuite } from './actions/serving.ts'
import { undoingSuite } from './actions/undoing.ts'

const opened = new AsyncDisposableStack()
let ground: Ground
before(async () => {
  const shared = {
    clock: systemClock,
    log: createLog('silent'),
    tokens: { token: () => Promise.reject(new Error('No token is expected here.')) },
  }
  const postgres = opened.use(await sharedPostgres())
  const url = await postgres.createDatabase()
  const sql = await openSql({
    env: { engine: 'postgres', url, auth: 'url', poolSize: 8 },
    migrations: runMigrations,
    ...shared,
  })
  opened.defer(() => sql.close())
  const broker = opened.use(await startBroker({ queues: ['parley-runs'] }))
  const { connectionString } = broker
  const queue = await openQueue({ env: { engine: 'service-bus', connectionString, queue: 'parley-runs' }, ...shared })
  opened.defer(() => queue.close())
  ground = opened.use(await openGround({ sql, queue }))
})
after(() => opened.disposeAsync())

executionSuite(() => ground)
recoverySuite(() => ground)
decisionsSuite(() => ground)
deadLettersSuite(() => ground)
hardeningSuite(() => ground)
sendingSuite(() => ground)
servingSuite(() => ground)
undoingSuite(() => ground)
awaitingSuite(() => ground)
outOfReachSuite(() => ground)
pruningSuite(() => ground)
