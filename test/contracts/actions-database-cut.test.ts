import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runMigrations } from '../../src/actions/runs/migrations.ts'
import { createLog } from '../../src/log.ts'
import { systemClock } from '../../src/platform/clock.ts'
import { openSql } from '../../src/platform/sql/open.ts'
import { startPostgres } from '../support/postgres.ts'
import { actionSpec, callOf, openGround, until, versionOf } from '../support/runs-at-hand.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'

const plain = { do_it: actionSpec('do') }

test('a turn that goes on while the database is away is told of its runs once that is back', async () => {
  await using postgres = await startPostgres()
  const direct = new URL(await postgres.createDatabase())
  await using proxy = await startTcpProxy({ host: direct.hostname, port: Number(direct.port) })
  const proxied = new URL(direct)
  proxied.hostname = '127.0.0.1'
  proxied.port = String(proxy.port)
  const tokens = { token: () => Promise.reject(new Error('No token is expected here.')) }
  const sql = await openSql({
    env: { engine: 'postgres', url: proxied.href, auth: 'url', poolSize: 4 },
    migrations: runMigrations,
    ...{ clock: systemClock, log: createLog('silent'), tokens },
  })
  await using closing = new AsyncDisposableStack()
  closing.defer(() => sql.close())
  const ground = closing.use(await openGround({ sql }))
  const gate = Promise.withResolvers<string>()
  const begun = Promise.withResolvers<void>()
  const slow = () => {
    begun.resolve()
    return gate.promise
  }
  await using actions = ground.actions({ actions: plain, functions: { do: slow }, leaseMs: 20_000 })
  const early = await actions.dispatch(callOf(versionOf(plain), 'do_it'))
  const aborted = await actions.dispatch(callOf(versionOf(plain), 'do_it'))
  await begun.promise
  const ended = new AbortController()
  const leaving = actions.settled(aborted, { mostMs: 60_000 }, ended.signal, () => {})
  proxy.break()
  const seen = await actions.settled(early, { mostMs: 50 }, new AbortController().signal, () => {})
  assert.ok(['queued', 'running'].includes(seen.status), seen.status)
  ended.abort(new Error('The turn has ended.'))
  await assert.rejects(leaving, /The turn has ended/)
  gate.resolve('after all')
  proxy.mend()
  const told = new Map<string, string | undefined>()
  await until(async () => {
    const taken = await actions.takeFollowUps(10, 60_000).catch(() => [])
    for (const run of taken.flatMap(({ runs }) => runs)) told.set(run.id, run.output)
    return told.size === 2
  })
  assert.deepEqual([told.get(early.id), told.get(aborted.id)], ['"after all"', '"after all"'])
})
