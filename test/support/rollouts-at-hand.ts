import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { weakeningsOf } from '../../src/config/diff/diff-configs.ts'
import type { ConfigDocument, ConfigVersion } from '../../src/config/document.ts'
import { createRollouts } from '../../src/config/rollout/create.ts'
import type { KnownVersion, KnownVersions } from '../../src/config/rollout/known-versions.ts'
import type { Rollouts } from '../../src/config/rollouts.ts'
import type { Assignment, Serving } from '../../src/config/serving.ts'
import type { RolloutEnv } from '../../src/env.ts'
import { createEvents, type Events, type TurnEnded } from '../../src/events/events.ts'
import type { Principal } from '../../src/identity/principal.ts'
import type { Log } from '../../src/log.ts'
import type { BlobStore } from '../../src/platform/blob/blob.ts'
import { FolderBlobStore } from '../../src/platform/blob/folder.ts'
import type { Clock } from '../../src/platform/clock.ts'
import type { Kv } from '../../src/platform/kv/kv.ts'
import { openKv } from '../../src/platform/kv/open.ts'
import { until } from '../contracts/kv/under-test.ts'
import { capturedLog } from './captured-log.ts'
import { chatConfig } from './chat-config.ts'
import { type ManualClock, manualClock } from './clock.ts'

/** What replicas share: versions, a folder of blobs, a live state, and time. */
export interface RolloutGround extends AsyncDisposable {
  clock: ManualClock
  kv: Kv
  log: Log
  lines: Record<string, unknown>[]
  blobs: BlobStore
  /** Where the blobs are. */
  folder: string
  /** Makes a version known to all replicas. */
  push(name: string, more?: Partial<PushedVersion>): ConfigVersion
  replica(options?: { skewMs?: number; kv?: Kv; blobs?: BlobStore }): Promise<RolloutReplica>
  /** Lets time pass, with a round of every replica that is there at each stride. */
  pass(ms: number, strideMs?: number): Promise<void>
  /** Lets rounds pass until it is so. */
  passUntil(holds: () => boolean): Promise<void>
  /** Takes the blob store away, and brings it back. */
  blobsAway(): Promise<void>
  blobsBack(): Promise<void>
}

export interface PushedVersion extends Omit<KnownVersion, 'name'> {
  /** Not in memory: there from the look on that follows its being asked for. */
  isOld: boolean
  document: Partial<ConfigDocument>
}

export interface RolloutReplica {
  rollouts: Rollouts
  serving: Serving
  events: Events
  /** What it told of rollouts: where they went by its own hand, where they went at all, and what it does not follow. */
  heard: { steps: string[]; moved: string[]; strays: string[] }
  /** A conversation of one turn, as it would be served now; `arm` draws until there is one of it. */
  converse(options?: Converse): Conversation
  /** Ends without a word: its leases run out, its timers are gone. */
  kill(): void
  close(): Promise<void>
}

export interface Converse extends Partial<TurnEnded> {
  arm?: 'stable' | 'canary'
}

export interface Conversation extends Assignment {
  unit: string
  principal: string
}

const rolloutEnv: RolloutEnv = {
  floors: [
    { weight: 5, conversations: 50 },
    { weight: 50, conversations: 50 },
  ],
  secondOperator: false,
  starts: 'by-itself',
  trialOf: 'principal',
  trialClosesMs: 900_000,
  bakeMs: 900_000,
  eventGridKey: undefined,
}

export const ROUND_MS = 2000

export function operator(name = 'Olga', roles: Principal['roles'] = ['Config.Operator']): Principal {
  return { tenant: 'local', id: name.toLowerCase(), name, kind: 'user', roles, scopes: [] }
}

/** Over SQLite unless another live state is given; time is the test's. */
export async function openRolloutGround(options: { env?: Partial<RolloutEnv>; kv?: Kv } = {}): Promise<RolloutGround> {
  const { log, lines } = capturedLog()
  const clock = manualClock()
  const opened = new AsyncDisposableStack()
  const parent = await mkdtemp(path.join(tmpdir(), 'parley-rollouts-'))
  opened.defer(() => rm(parent, { recursive: true, force: true }))
  const folder = path.join(parent, 'rollout')
  await mkdir(folder)
  const tokens = { token: () => Promise.reject(new Error('No token is expected here.')) }
  const kv = options.kv ?? (await openKv({ env: { engine: 'sqlite', path: ':memory:' }, clock, log, tokens }))
  if (!options.kv) opened.defer(() => kv.close())
  const env = { ...rolloutEnv, ...options.env }
  const known = new Map<string, ConfigVersion & KnownVersion>()
  const [old, asked] = [new Set<string>(), new Set<string>()]
  const listeners = new Set<(version: ConfigVersion) => void>()
  const newestFirst = () => [...known.values()].sort((a, b) => b.name.localeCompare(a.name, 'en', { numeric: true }))
  const versions: KnownVersions = {
    get(name) {
      if (!old.has(name)) return known.get(name)
      asked.add(name)
      return undefined
    },
    newest: () => newestFirst()[0] ?? raise('There is no version.'),
    list: newestFirst,
    onChange: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    refresh: async () => {
      for (const name of asked) old.delete(name)
    },
  }
  const replicas = new Set<{ isIdle(): boolean }>()
  const idle = () => until(() => [...replicas].every((replica) => replica.isIdle()))

  async function pass(ms: number, strideMs = ROUND_MS): Promise<void> {
    for (let passedMs = 0; passedMs < ms; passedMs += strideMs) {
      clock.advance(Math.min(strideMs, ms - passedMs))
      await idle()
    }
  }

  const ground: RolloutGround = {
    ...{ clock, kv, log, lines, folder, pass },
    blobs: new FolderBlobStore({ root: folder, clock, log }),
    push(name, more = {}) {
      const document = { ...chatConfig({}), description: name, ...more.document }
      const { hash = `hash-of-${name}`, status = 'sound', uploadedBy = null, approvedBy = null } = more
      const version = { name, hash, document, status, uploadedBy, approvedBy }
      known.set(name, version)
      if (more.isOld) old.add(name)
      for (const listener of listeners) listener(version)
      return version
    },
    async replica({ skewMs = 0, kv: own = kv, blobs = new FolderBlobStore({ root: folder, clock, log }) } = {}) {
      const watched = watchedClock(clock, skewMs)
      const events = createEvents(log)
      const heard: RolloutReplica['heard'] = { steps: [], moved: [], strays: [] }
      const made = await createRollouts({
        ...{ blobs, kv: own, versions, weakeningsOf, clock: watched.clock, log, env, events },
        listener: {
          onStep: ({ to }) => heard.steps.push(to),
          onMoved: ({ to }) => heard.moved.push(to),
          onStray: (what) => heard.strays.push(what),
        },
      })
      const entry = { isIdle: () => watched.isIdle() }
      replicas.add(entry)
      const gone = () => replicas.delete(entry)
      return {
        ...{ rollouts: made.rollouts, serving: made.serving, events, heard },
        converse: (converse) => conversation(made.serving, events, clock, converse),
        kill() {
          gone()
          watched.kill()
        },
        async close() {
          gone()
          await made.close()
        },
      }
    },
    async passUntil(holds) {
      for (let rounds = 0; rounds < 100 && !holds(); rounds++) await pass(ROUND_MS)
      if (!holds()) throw new Error('It did not come to pass in a hundred rounds.')
    },
    blobsAway: () => rename(folder, `${folder}-away`),
    blobsBack: () => rename(`${folder}-away`, folder),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
  return ground
}

/** The clock as one replica has it: wrong by `skewMs`, and telling whether its next round is planned. */
function watchedClock(clock: ManualClock, skewMs: number) {
  let planned = 0
  let isDead = false
  const stops = new Set<() => void>()
  const own: Clock = {
    now: () => clock.now() + skewMs,
    monotonic: () => clock.monotonic(),
    after(delayMs, task) {
      if (isDead) return () => {}
      const isRound = delayMs === ROUND_MS
      if (isRound) planned += 1
      const stop = clock.after(delayMs, () => {
        stops.delete(ended)
        if (isRound) planned -= 1
        task()
      })
      const ended = () => {
        if (!stops.delete(ended)) return
        if (isRound) planned -= 1
        stop()
      }
      stops.add(ended)
      return ended
    },
  }
  return {
    clock: own,
    isIdle: () => planned > 0,
    kill: () => {
      isDead = true
      for (const stop of [...stops]) stop()
    },
  }
}

function conversation(serving: Serving, events: Events, clock: Clock, { arm, ...more }: Converse = {}): Conversation {
  for (let draws = 0; draws < 10_000; draws++) {
    const unit = `conv_${randomUUID().replaceAll('-', '')}`
    const assignment = serving.assign(unit)
    if (arm && assignment.arm !== arm) continue
    const principal = more.principal ?? randomUUID()
    events.emit('turn.ended', { ...turnOf({ ...assignment, unit, principal }, clock), ...more })
    return { ...assignment, unit, principal }
  }
  throw new Error(`Nobody is assigned to ${arm}.`)
}

/** One replica, stable v1 with `conversations` to compare with, `each` alike, and v2 on its way at 5 %. */
export async function canary(ground: RolloutGround, conversations = 250, each?: Converse): Promise<RolloutReplica> {
  ground.push('v1')
  const replica = await ground.replica()
  for (let n = 0; n < conversations; n++) replica.converse(each)
  await ground.pass(ROUND_MS)
  ground.push('v2')
  await ground.pass(ROUND_MS)
  return replica
}

/** A turn that ended well. */
export function turnOf({ config, arm, cohort, unit, principal }: Conversation, clock: Clock): TurnEnded {
  return {
    ...{ config: config.name, arm, cohort, unit, principal },
    turn: `turn_${randomUUID().replaceAll('-', '')}`,
    conversation: unit,
    tenant: 'local',
    specialist: 'apollo',
    status: 'completed',
    finish: 'stop',
    code: null,
    segments: [],
    faults: [],
    firstTokenMs: 200,
    startedAt: clock.now(),
    endedAt: clock.now(),
  }
}

export const failed = { status: 'failed', finish: null, code: 'model_failed' } as const

function raise(message: string): never {
  throw new Error(message)
}
