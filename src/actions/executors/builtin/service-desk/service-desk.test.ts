import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { openSql } from '#platform/sql/open.ts'
import type { Sql } from '#platform/sql/sql.ts'
import { capturedLog } from '../../../../../test/support/captured-log.ts'
import { manualClock } from '../../../../../test/support/clock.ts'
import { executorContext } from '../../../../../test/support/executor-context.ts'
import { pgliteTemplate } from '../../../../../test/support/pglite-template.ts'
import { sharedPostgres } from '../../../../../test/support/postgres.ts'
import type { ExecutorContext } from '../../executor.ts'
import { serviceDesk } from './service-desk.ts'
import { ticketsMigration } from './tickets-migration.ts'

const opened = new AsyncDisposableStack()
const databases = new Map<string, Sql>()
let tenants = 0

before(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'service-desk-'))
  opened.defer(() => rm(folder, { recursive: true }))
  const postgres = opened.use(await sharedPostgres())
  const url = await postgres.createDatabase()
  const envs = [
    { engine: 'pglite', path: join(folder, 'sql'), template: pgliteTemplate() },
    { engine: 'postgres', url, auth: 'url', poolSize: 8 },
  ] as const
  const { log } = capturedLog()
  const tokens = { token: () => Promise.reject(new Error('No token is expected here.')) }
  for (const env of envs) {
    const sql = await openSql({ env, migrations: [ticketsMigration], clock: manualClock(), log, tokens })
    opened.defer(() => sql.close())
    databases.set(env.engine, sql)
  }
})

after(() => opened.disposeAsync())

/** The desk of a tenant that nobody else uses. */
function deskOn(engine: string) {
  const sql = databases.get(engine)
  assert.ok(sql)
  const tenant = `tenant-${tenants++}`
  const functions = serviceDesk(sql)
  return {
    tenant,
    async call(name: string, args: Record<string, unknown>, change: Partial<ExecutorContext> = {}): Promise<unknown> {
      const base = executorContext()
      const principal = { ...base.principal, tenant }
      const executor = functions.get(name)
      assert.ok(executor, name)
      return executor(args, { ...base, principal, ...change })
    },
  }
}

for (const engine of ['pglite', 'postgres']) {
  test(`on ${engine}: opening again under the same key gives the same ticket`, async () => {
    const { call } = deskOn(engine)
    const first = { ticket: 1, title: 'Printer on fire', priority: 'low', status: 'open' }
    assert.deepEqual(await call('create_ticket', { title: ' Printer on fire ' }, { key: 'a' }), first)
    assert.deepEqual(await call('create_ticket', { title: 'Printer on fire' }, { key: 'a', attempt: 2 }), first)
    const second = await call('create_ticket', { title: 'Printer on fire', priority: 'high' }, { key: 'b' })
    assert.deepEqual(second, { ...first, ticket: 2, priority: 'high' })
    assert.deepEqual(await call('list_tickets', {}), { tickets: [second, first] })
  })

  test(`on ${engine}: many at once, each key twice, are numbered without gaps`, async () => {
    const { call } = deskOn(engine)
    const keys = Array.from({ length: 24 }, (_, n) => `key ${n >> 1}`)
    const tickets = await Promise.all(keys.map((key) => call('create_ticket', { title: key }, { key })))
    const numbers = new Set(tickets.map((ticket) => (ticket as { ticket: number }).ticket))
    assert.deepEqual(
      [...numbers].sort((a, b) => a - b),
      [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
    )
    for (let n = 0; n < 24; n += 2) assert.deepEqual(tickets[n], tickets[n + 1])
  })

  test(`on ${engine}: a ticket is closed once, and one that is not there cannot be`, async () => {
    const { call } = deskOn(engine)
    await call('create_ticket', { title: 'One' }, { key: 'a' })
    await call('create_ticket', { title: 'Two' }, { key: 'b' })
    for (const _ of [1, 2]) assert.deepEqual(await call('close_ticket', { ticket: 1 }), { ticket: 1, status: 'closed' })
    const titles = async (status: string) => {
      const { tickets } = (await call('list_tickets', { status })) as { tickets: { title: string }[] }
      return tickets.map(({ title }) => title)
    }
    assert.deepEqual([await titles('open'), await titles('closed')], [['Two'], ['One']])
    const missing = { name: 'CorrectableError', message: 'There is no ticket 3.' }
    await assert.rejects(call('close_ticket', { ticket: 3 }), missing)
    await assert.rejects(call('close_ticket', { ticket: 2_147_483_647 }), { message: 'There is no ticket 2147483647.' })
  })

  test(`on ${engine}: tenants have desks of their own, under the same keys and numbers`, async () => {
    const [ours, theirs] = [deskOn(engine), deskOn(engine)]
    for (const { call, tenant } of [ours, theirs]) {
      assert.deepEqual(await call('create_ticket', { title: `Of ${tenant}` }, { key: 'a' }), {
        ...{ ticket: 1, title: `Of ${tenant}` },
        ...{ priority: 'low', status: 'open' },
      })
    }
    await theirs.call('close_ticket', { ticket: 1 })
    assert.deepEqual(await ours.call('list_tickets', { status: 'closed' }), { tickets: [] })
    const rows = await databases.get(engine)?.query({ tenant: ours.tenant }, 'SELECT tenant FROM tickets')
    assert.deepEqual(rows, [{ tenant: ours.tenant }])
  })

  test(`on ${engine}: the newest fifty are listed`, async () => {
    const { call } = deskOn(engine)
    for (let n = 1; n <= 51; n++) await call('create_ticket', { title: `Ticket ${n}` }, { key: `${n}` })
    const { tickets } = (await call('list_tickets', {})) as { tickets: { ticket: number }[] }
    assert.deepEqual([tickets.length, tickets[0]?.ticket, tickets.at(-1)?.ticket], [50, 51, 2])
  })

  test(`on ${engine}: nobody is paged during maintenance`, async () => {
    const { call } = deskOn(engine)
    const paged = { paged: 'the on-call engineer', message: 'It is down' }
    assert.deepEqual(await call('page_on_call', { message: 'It is down' }), paged)
    await call('create_ticket', { title: 'Maintenance' }, { key: 'a' })
    let began = false
    const begin = async () => {
      began = true
    }
    const refused = { name: 'PassingError', reason: 'maintenance', untouched: true }
    await assert.rejects(call('page_on_call', { message: 'It is down' }, { begin }), refused)
    assert.equal(began, false)
    await call('close_ticket', { ticket: 1 })
    assert.deepEqual(await call('page_on_call', { message: 'It is down' }), paged)
  })

  test(`on ${engine}: nothing is written for a run that is somebody else's by now`, async () => {
    const { call } = deskOn(engine)
    const begin = () => Promise.reject(new Error('lost'))
    await assert.rejects(call('create_ticket', { title: 'One' }, { begin }), { message: 'lost' })
    assert.deepEqual(await call('list_tickets', {}), { tickets: [] })
  })
}

test('a service is restarted at the third attempt', async () => {
  const { call } = deskOn('pglite')
  const restart = (attempt: number) => call('restart_service', { service: 'billing' }, { attempt })
  const busy = { name: 'PassingError', reason: 'service_busy', untouched: false }
  for (const attempt of [1, 2]) await assert.rejects(restart(attempt), busy)
  for (const attempt of [3, 4]) assert.deepEqual(await restart(attempt), { service: 'billing', status: 'running' })
})

for (const [name, args, message] of [
  ['create_ticket', { title: '  ' }, 'The argument "title" has to be a line of text.'],
  ['create_ticket', { title: 'a\u0000b' }, 'The argument "title" has to be a line of text.'],
  ['create_ticket', { title: 5 }, 'The argument "title" has to be a line of text.'],
  ['page_on_call', { message: 'a\nb' }, 'The argument "message" has to be a line of text.'],
  ['restart_service', {}, 'The argument "service" has to be a line of text.'],
  ['close_ticket', { ticket: 0 }, 'The argument "ticket" has to be the number of a ticket.'],
  ['close_ticket', { ticket: 2_147_483_648 }, 'The argument "ticket" has to be the number of a ticket.'],
  ['close_ticket', { ticket: '1' }, 'The argument "ticket" has to be the number of a ticket.'],
] as const) {
  test(`${name} does not take ${JSON.stringify(args)}`, async () => {
    await assert.rejects(deskOn('pglite').call(name, args), { name: 'CorrectableError', message })
  })
}
