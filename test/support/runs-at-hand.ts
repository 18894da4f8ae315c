import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Actions } from '../../src/actions/actions.ts'
import { createActions } from '../../src/actions/create.ts'
import { createBuiltinExecutors } from '../../src/actions/executors/builtin/registry.ts'
import type { Executor, ExecutorKind } from '../../src/actions/executors/executor.ts'
import { createExecutors } from '../../src/actions/executors/executors.ts'
import type { ActionCall, Run } from '../../src/actions/port.ts'
import { runMigrations } from '../../src/actions/runs/migrations.ts'
import type { ActionSpec } from '../../src/config/action-spec.ts'
import type { ConfigVersion } from '../../src/config/document.ts'
import { createSeal, type Seal } from '../../src/conversations/vault.ts'
import { createEvents, type RunSettled } from '../../src/events/events.ts'
import type { Principal } from '../../src/identity/principal.ts'
import type { Log } from '../../src/log.ts'
import { type Clock, systemClock } from '../../src/platform/clock.ts'
import { openKv } from '../../src/platform/kv/open.ts'
import type { Queue } from '../../src/platform/queue/queue.ts'
import { SqliteQueue } from '../../src/platform/queue/sqlite.ts'
import { openSql } from '../../src/platform/sql/open.ts'
import type { Sql } from '../../src/platform/sql/sql.ts'
import { capturedLog } from './captured-log.ts'
import { pgliteTemplate } from './pglite-template.ts'
import { ScriptedServing } from './scripted-serving.ts'

/** What runs stand on, for as many replicas as a test wants. */
export interface Ground extends AsyncDisposable {
  sql: Sql
  queue: Queue
  log: Log
  lines: Record<string, unknown>[]
  /** What all replicas have told of runs that came to rest. */
  settled: RunSettled[]
  /** What all replicas seal with. */
  seal: Seal
  /** Another replica on the same ground; it is drained with the test that wants it. */
  actions(options?: ReplicaOptions): Actions & AsyncDisposable
}

export interface ReplicaOptions {
  functions?: Record<string, Executor>
  /** What they would do, by the same names. */
  dryRuns?: Record<string, Executor>
  userToken?: (principal: Principal, scope: string) => Promise<string>
  actions?: Record<string, ActionSpec>
  works?: boolean
  leaseMs?: number
  isLive?: (principal: Principal) => Promise<boolean>
  queue?: Queue
  sql?: Sql
  sealOf?: () => Promise<Seal>
  maxWaiting?: number
  /** Otherwise the system's. */
  clock?: Clock
  /** Otherwise the only version is that of `actions`. */
  serving?: ScriptedServing
}

const PARAMETERS = {
  type: 'object',
  additionalProperties: false,
  properties: { x: { type: 'number' }, title: { type: 'string', maxLength: 20 } },
} as const

export function actionSpec(builtin: string, more: Partial<ActionSpec> = {}): ActionSpec {
  return { description: `Does ${builtin}`, builtin, parameters: PARAMETERS, access: 'read', ...more }
}

export function versionOf(actions: Record<string, ActionSpec>): ConfigVersion {
  const apollo = { title: 'Apollo', instructions: 'Help.', route: 'default', actions: Object.keys(actions) }
  return {
    name: 'v1',
    hash: '',
    document: { description: '', models: {}, routes: {}, specialists: { apollo }, actions },
  }
}

export function person(id: string, roles: Principal['roles'] = ['Chat.User'], tenant = 'local'): Principal {
  return { tenant, id, name: id, kind: 'user', roles, scopes: [] }
}

let calls = 0
export function callOf(config: ConfigVersion, action: string, change: Partial<ActionCall> = {}): ActionCall {
  const turn = `turn_${String(calls++).padStart(32, '0')}`
  return {
    key: `${turn}/0/0`,
    turn,
    conversation: 'conv_1',
    principal: person('ada'),
    ...{ config, arm: 'stable', cohort: '', unit: 'conv_1' },
    specialist: 'apollo',
    action,
    arguments: '{"x":1}',
    readOnly: false,
    untrusted: false,
    ...change,
  }
}

/** Longer than anything that is waited for takes, and shorter than a test may: what did not come to hold is named. */
const UNTIL_MS = 100_000

/** Waits until it holds, or is there. */
export async function until<Held>(holds: () => Promise<Held> | Held): Promise<NonNullable<Held>> {
  for (const end = performance.now() + UNTIL_MS; ; ) {
    const held = await holds()
    if (held) return held
    if (performance.now() > end) throw new Error(`This did not come to hold: ${holds}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** As if the message for the next attempt of a run had been lost: it is sent for with another. What is under way goes on. */
export async function hurry(sql: Sql, run: string): Promise<void> {
  const text = `UPDATE runs SET due_at = 1, sent_again = version WHERE id = $1 AND status = 'retrying'`
  await sql.query('system', text, [run])
}

/** A queue that keeps nothing and tells nobody. */
export function deafQueue(queue: Queue): Queue {
  return {
    ...{ engine: queue.engine, reachable: true },
    send: async () => {},
    schedule: async () => [],
    cancel: async () => {},
    receive: () => ({ stop: async () => {} }),
    deadLetters: async () => [],
    removeDeadLetters: async () => [],
    close: async () => {},
  }
}

/** The run once it is settled, or as it stands after a minute. */
export function settledRun(actions: Actions, run: Run, onChange: (run: Run) => void = () => {}): Promise<Run> {
  return actions.settled(run, { mostMs: 60_000 }, new AbortController().signal, onChange)
}

/** The embedded engines in a folder of their own, but for those that are given. */
export async function openGround(engines: { sql?: Sql; queue?: Queue } = {}): Promise<Ground> {
  const { log, lines } = capturedLog()
  const folder = await mkdtemp(path.join(tmpdir(), 'parley-runs-'))
  const opened = new AsyncDisposableStack()
  opened.defer(() => rm(folder, { recursive: true, force: true }))
  const clock = systemClock
  const tokens = { token: () => Promise.reject(new Error('No token is expected here.')) }
  const kv = await openKv({ env: { engine: 'sqlite', path: path.join(folder, 'state.db') }, clock, log, tokens })
  opened.defer(() => kv.close())
  const env = { engine: 'pglite', path: path.join(folder, 'sql'), template: pgliteTemplate() } as const
  const sql = engines.sql ?? (await openSql({ env, migrations: runMigrations, clock, log, tokens }))
  if (!engines.sql) opened.defer(() => sql.close())
  const queue = engines.queue ?? new SqliteQueue({ path: path.join(folder, 'queue.db'), clock, log })
  if (!engines.queue) opened.defer(() => queue.close())
  const seal = createSeal(randomBytes(32))
  let replicas = 0
  const events = createEvents(log)
  const settled: RunSettled[] = []
  events.on('run.settled', (fact) => settled.push(fact))
  return {
    settled,
    sql,
    queue,
    log,
    lines,
    seal,
    actions(options = {}) {
      const { functions = {}, dryRuns = {}, actions = {}, works = true, leaseMs = 2000, maxWaiting = 10_000 } = options
      const { userToken = () => Promise.reject(new Error('No sign-in is expected here.')), ...more } = options
      const builtin = createBuiltinExecutors(new Map(Object.entries(functions)))
      const dryRunOf: ExecutorKind['dryRunOf'] = (_document, _name, spec) => dryRuns[spec.builtin ?? '']
      const version = versionOf(actions)
      const serving = more.serving ?? new ScriptedServing(version)
      const replica = createActions({
        sealOf: async () => seal,
        ...{ sql, queue, kv, clock, log, works, leaseMs, maxWaiting, ...more },
        executors: createExecutors([{ ...builtin, dryRunOf }]),
        ...{ serving, events },
        configs: { find: async (name) => serving.get(name), current: () => serving.stable() },
        userToken,
        replica: `replica-${replicas++}`,
        concurrency: 32,
        sweepEveryMs: 50,
        awake: true,
        alone: false,
      })
      return { ...replica, [Symbol.asyncDispose]: () => replica.drain(1000) }
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}
