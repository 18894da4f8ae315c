import path from 'node:path'
import { type ActionsEnv, readActions } from './env/actions.ts'
import { type GovernanceEnv, readGovernance } from './env/governance.ts'
import { type HttpEnv, readHttp } from './env/http.ts'
import { type IdentityEnv, readIdentity } from './env/identity.ts'
import { type MasterKeysEnv, readMasterKeys } from './env/master-keys.ts'
import { type ModelsEnv, readModels } from './env/models.ts'
import { reader, type Variables } from './env/reader.ts'
import { type RetentionEnv, readRetention } from './env/retention.ts'
import { type RolloutEnv, readRollout, readShadow, type ShadowEnv } from './env/rollout.ts'
import { readSecrets, type SecretsEnv, secretsLeftOut } from './env/secrets.ts'
import {
  type BlobEnv,
  type KvEnv,
  type QueueEnv,
  readBlob,
  readKv,
  readQueue,
  readSql,
  type SqlEnv,
} from './env/stores.ts'
import { readTelemetry, type TelemetryEnv } from './env/telemetry.ts'
import { ParleyError } from './errors.ts'

export type { ActionsEnv } from './env/actions.ts'
export type { GovernanceEnv } from './env/governance.ts'
export type { IdentityEnv } from './env/identity.ts'
export type { MasterKeysEnv } from './env/master-keys.ts'
export type { ModelsEnv } from './env/models.ts'
export type { RetentionEnv } from './env/retention.ts'
export type { RolloutEnv, ShadowEnv } from './env/rollout.ts'
export type { SecretsEnv } from './env/secrets.ts'
export type { BlobEnv, KvEnv, QueueEnv, SqlEnv } from './env/stores.ts'
export type { TelemetryEnv } from './env/telemetry.ts'

/**
 * What the process runs on, shaped from the environment once, at boot. Fields that hold a secret give its present value, which may be
 * another one after a rotation: they are read at each use, and never copied.
 */
export interface Env {
  host: string
  port: number
  dataDir: string
  logLevel: LogLevel
  role: Role
  http: HttpEnv
  identity: IdentityEnv
  kv: KvEnv
  queue: QueueEnv
  sql: SqlEnv
  blob: BlobEnv
  models: ModelsEnv
  actions: ActionsEnv
  rollout: RolloutEnv
  shadow: ShadowEnv
  telemetry: TelemetryEnv
  masterKeys: MasterKeysEnv
  secrets: SecretsEnv
  limits: LimitsEnv
  governance: GovernanceEnv
  retention: RetentionEnv
}

/** What a replica does: serves and executes, or one of the two. */
export type Role = (typeof ROLES)[number]

export interface LimitsEnv {
  /** Turns and relayed requests of this replica at once. */
  turnsAtOnce: number
  turnLeaseMs: number
  /** How long each of Redis, Service Bus and PostgreSQL is waited for at the start, which may as well come later. */
  startPatienceMs: number
  /** What running turns get when the process is told to stop. */
  drainMs: number
  /** What everything else gets then; who has not stopped by the end of both is ended. */
  closeMs: number
  conversationIdleMs: number
  /** How long the archive keeps turns that have ended. */
  archiveMs: number
}

type LogLevel = (typeof LOG_LEVELS)[number]

const ROLES = ['all', 'api', 'worker'] as const
const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const

/**
 * Reads the environment. Throws environment_invalid, naming each variable that is wrong, missing or contradictory: a process
 * that half knows what it runs on does not start.
 */
export function readEnv(variables: Variables = process.env): Env {
  const faults: string[] = []
  const read = reader(variables, faults)
  const host = read.text('HOST') ?? '127.0.0.1'
  const dataDir = path.resolve(read.text('PARLEY_DATA_DIR') ?? 'data')
  const idleDays = read.integer('PARLEY_CONVERSATION_IDLE_DAYS', 90, 1, 3650)
  const env: Env = {
    host,
    port: read.integer('PORT', 8080, 0, 65_535),
    dataDir,
    logLevel: read.oneOf('PARLEY_LOG_LEVEL', LOG_LEVELS, 'info'),
    role: read.oneOf('PARLEY_ROLE', ROLES, 'all'),
    http: readHttp(read, faults),
    identity: readIdentity(read, host, faults),
    kv: readKv(read, dataDir),
    queue: readQueue(read, dataDir),
    sql: readSql(read, dataDir),
    blob: readBlob(read, dataDir),
    models: readModels(read),
    actions: readActions(read),
    rollout: readRollout(read, faults),
    shadow: readShadow(read),
    telemetry: readTelemetry(read, faults),
    masterKeys: readMasterKeys(read, dataDir, faults),
    secrets: readSecrets(read, faults),
    limits: {
      turnsAtOnce: read.integer('PARLEY_TURNS_AT_ONCE', 20_000, 1, 1_000_000),
      turnLeaseMs: read.integer('PARLEY_TURN_LEASE_MS', 10_000, 500, 600_000),
      startPatienceMs: read.integer('PARLEY_START_PATIENCE_MS', 2000, 100, 600_000),
      drainMs: read.integer('PARLEY_DRAIN_MS', 20_000, 0, 600_000),
      closeMs: read.integer('PARLEY_CLOSE_MS', 9000, 1000, 600_000),
      conversationIdleMs: idleDays * 86_400_000,
      archiveMs: read.integer('PARLEY_ARCHIVE_DAYS', idleDays, 1, 36_500) * 86_400_000,
    },
    governance: readGovernance(read, faults),
    retention: readRetention(read),
  }
  if (env.kv.engine === 'redis' && env.masterKeys.source === 'file') {
    faults.push('REDIS_URL needs PARLEY_MASTER_KEYS: replicas must share the keys that data is sealed with')
  }
  faults.push(...contradictions(env))
  if (faults.length > 0) throw new ParleyError('environment_invalid', { message: faults.join('; ') })
  return env
}

/** What has to be known before the rest can be shaped. Throws environment_invalid. */
export function readSecretsEnv(variables: Variables = process.env): {
  env: SecretsEnv
  variables: Variables
  wanted: string[]
} {
  const faults: string[] = []
  const read = reader(variables, faults)
  const env = readSecrets(read, faults)
  if (faults.length > 0) throw new ParleyError('environment_invalid', { message: faults.join('; ') })
  return { env, variables, wanted: secretsLeftOut(read) }
}

/** Engines that only this process sees, where others have to see the same. */
function contradictions({ role, kv, queue, sql, blob, dataDir }: Env): string[] {
  const faults: string[] = []
  if (sql.engine === 'pglite') {
    if (kv.engine === 'redis') faults.push('REDIS_URL needs DATABASE_URL: replicas must see the same runs')
    if (queue.engine === 'service-bus') faults.push('SERVICE_BUS needs DATABASE_URL: a message only names a run')
  }
  if (role !== 'all' && (kv.engine === 'sqlite' || queue.engine === 'sqlite')) {
    faults.push(`PARLEY_ROLE=${role} needs REDIS_URL, DATABASE_URL and SERVICE_BUS_CONNECTION_STRING or _NAMESPACE`)
  }
  if (kv.engine === 'redis' && blob.engine === 'folder' && isWithin(blob.rollout, dataDir)) {
    faults.push(
      'REDIS_URL needs AZURE_STORAGE_CONNECTION_STRING or _ACCOUNT_URL (or PARLEY_ROLLOUT_DIR, a folder that all replicas share): replicas must see the same rollout',
    )
  }
  return faults
}

function isWithin(folder: string, parent: string): boolean {
  return !path.relative(parent, folder).startsWith('..')
}
