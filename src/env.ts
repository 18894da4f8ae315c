import path from 'node:path'
import { ParleyError } from './errors.ts'

/** What the process runs on, shaped from the environment once, at boot. */
export interface Env {
  host: string
  port: number
  dataDir: string
  configDir: string
  logLevel: LogLevel
  role: Role
  kv: KvEnv
  queue: QueueEnv
  sql: SqlEnv
  models: ModelsEnv
  actions: ActionsEnv
  masterKeys: MasterKeysEnv
  limits: LimitsEnv
}

export type KvEnv =
  | { engine: 'sqlite'; path: string }
  | { engine: 'redis'; url: string; cluster: boolean; auth: 'url' | 'entra' }

/** `namespace` is a host, `name.servicebus.windows.net`; a connection string goes before it. */
export type QueueEnv =
  | { engine: 'sqlite'; path: string }
  | { engine: 'service-bus'; connectionString?: string | undefined; namespace?: string | undefined; queue: string }

export type SqlEnv =
  | { engine: 'pglite'; path: string }
  | { engine: 'postgres'; url: string; auth: 'url' | 'entra'; poolSize: number }

/** What a replica does: serves and executes, or one of the two. */
export type Role = (typeof ROLES)[number]

export interface ActionsEnv {
  /** Runs that this replica executes at once. */
  runsAtOnce: number
  /** Runs of all replicas that may wait to be executed. */
  runsWaiting: number
  runLeaseMs: number
  /** Hosts that actions may call. */
  egressHosts: readonly string[]
  /** Ranges of private addresses that actions may reach, in CIDR notation. */
  privateRanges: readonly string[]
  /** Commands that may be started as MCP servers, word by word. */
  mcpCommands: readonly (readonly string[])[]
}

export interface ModelsEnv {
  openai: { apiKey: string | undefined; baseUrl: string } | undefined
  azureOpenai: { endpoint: string; apiKey: string | undefined } | undefined
  /** Hosts that a config version may name in `baseUrl`, beside those of the environment. */
  egressHosts: readonly string[]
}

export type MasterKeysEnv =
  | { source: 'environment'; keys: readonly { id: string; key: Buffer }[] }
  | { source: 'file'; path: string }

export interface LimitsEnv {
  /** Turns and relayed requests of this replica at once. */
  turnsAtOnce: number
  turnLeaseMs: number
  /** What running turns get when the process is told to stop. */
  drainMs: number
  conversationIdleMs: number
}

type Variables = Readonly<Record<string, string | undefined>>
type LogLevel = (typeof LOG_LEVELS)[number]

const ROLES = ['all', 'api', 'worker'] as const
const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const
const OPENAI_URL = 'https://api.openai.com/v1'

/**
 * Reads the environment. Throws environment_invalid, naming each variable that is wrong, missing or contradictory: a process
 * that half knows what it runs on does not start.
 */
export function readEnv(variables: Variables = process.env): Env {
  const faults: string[] = []
  const read = reader(variables, faults)
  const host = read.text('HOST') ?? '127.0.0.1'
  const dataDir = path.resolve(read.text('PARLEY_DATA_DIR') ?? 'data')
  const env: Env = {
    host,
    port: read.integer('PORT', 8080, 0, 65_535),
    dataDir,
    configDir: path.resolve(read.text('PARLEY_CONFIG_DIR') ?? 'config-versions'),
    logLevel: read.oneOf('PARLEY_LOG_LEVEL', LOG_LEVELS, 'info'),
    role: read.oneOf('PARLEY_ROLE', ROLES, 'all'),
    kv: readKv(read, dataDir),
    queue: readQueue(read, dataDir),
    sql: readSql(read, dataDir),
    models: readModels(read),
    actions: {
      runsAtOnce: read.integer('PARLEY_RUNS_AT_ONCE', 64, 1, 10_000),
      runsWaiting: read.integer('PARLEY_RUNS_WAITING', 10_000, 1, 10_000_000),
      runLeaseMs: read.integer('PARLEY_RUN_LEASE_MS', 15_000, 500, 600_000),
      egressHosts: read.list('PARLEY_EGRESS_HOSTS'),
      privateRanges: read.list('PARLEY_EGRESS_PRIVATE'),
      mcpCommands: read.list('PARLEY_MCP_COMMANDS').map((command) => command.split(/\s+/)),
    },
    masterKeys: readMasterKeys(read, dataDir, faults),
    limits: {
      turnsAtOnce: read.integer('PARLEY_TURNS_AT_ONCE', 20_000, 1, 1_000_000),
      turnLeaseMs: read.integer('PARLEY_TURN_LEASE_MS', 10_000, 500, 600_000),
      drainMs: read.integer('PARLEY_DRAIN_MS', 20_000, 0, 600_000),
      conversationIdleMs: read.integer('PARLEY_CONVERSATION_IDLE_DAYS', 90, 1, 3650) * 86_400_000,
    },
  }
  if (env.kv.engine === 'redis' && env.masterKeys.source === 'file') {
    faults.push('REDIS_URL needs PARLEY_MASTER_KEYS: replicas must share the keys that data is sealed with')
  }
  faults.push(...contradictions(env))
  if (faults.length > 0) throw new ParleyError('environment_invalid', { message: faults.join('; ') })
  return env
}

/** Engines that only this process sees, where others have to see the same. */
function contradictions({ role, kv, queue, sql }: Env): string[] {
  const faults: string[] = []
  if (sql.engine === 'pglite') {
    if (kv.engine === 'redis') faults.push('REDIS_URL needs DATABASE_URL: replicas must see the same runs')
    if (queue.engine === 'service-bus') faults.push('SERVICE_BUS needs DATABASE_URL: a message only names a run')
  }
  if (role !== 'all' && (kv.engine === 'sqlite' || queue.engine === 'sqlite')) {
    faults.push(`PARLEY_ROLE=${role} needs REDIS_URL, DATABASE_URL and SERVICE_BUS_CONNECTION_STRING or _NAMESPACE`)
  }
  return faults
}

type Reader = ReturnType<typeof reader>

function reader(variables: Variables, faults: string[]) {
  const text = (name: string): string | undefined => variables[name]?.trim() || undefined
  return {
    text,
    integer(name: string, fallback: number, min: number, max: number): number {
      const given = text(name)
      if (given === undefined) return fallback
      const value = /^\d+$/.test(given) ? Number(given) : Number.NaN
      if (!(value >= min && value <= max)) faults.push(`${name} has to be an integer from ${min} to ${max}`)
      return value
    },
    oneOf<const Value extends string>(name: string, values: readonly Value[], fallback: Value): Value {
      const given = text(name)
      const value = given === undefined ? fallback : values.find((one) => one === given)
      if (value === undefined) faults.push(`${name} has to be one of ${values.join(', ')}`)
      return value ?? fallback
    },
    url(name: string, protocols: readonly string[]): string | undefined {
      const given = text(name)
      if (given === undefined) return undefined
      const protocol = URL.parse(given)?.protocol
      if (!protocol || !protocols.includes(protocol))
        faults.push(`${name} has to be a URL of ${protocols.join(' or ')}//`)
      return given
    },
    list: (name: string): string[] =>
      text(name)
        ?.split(',')
        .map((item) => item.trim())
        .filter(Boolean) ?? [],
  }
}

function readKv(read: Reader, dataDir: string): KvEnv {
  const url = read.url('REDIS_URL', ['redis:', 'rediss:'])
  const cluster = read.oneOf('PARLEY_REDIS_CLUSTER', ['true', 'false'], 'false') === 'true'
  const auth = read.oneOf('PARLEY_REDIS_AUTH', ['url', 'entra'], 'url')
  return url === undefined
    ? { engine: 'sqlite', path: path.join(dataDir, 'state.db') }
    : { engine: 'redis', url, cluster, auth }
}

function readQueue(read: Reader, dataDir: string): QueueEnv {
  const connectionString = read.text('SERVICE_BUS_CONNECTION_STRING')
  const namespace = read.text('SERVICE_BUS_NAMESPACE')
  const queue = read.text('PARLEY_QUEUE') ?? 'parley-runs'
  return connectionString === undefined && namespace === undefined
    ? { engine: 'sqlite', path: path.join(dataDir, 'queue.db') }
    : { engine: 'service-bus', connectionString, namespace, queue }
}

function readSql(read: Reader, dataDir: string): SqlEnv {
  const url = read.url('DATABASE_URL', ['postgres:', 'postgresql:'])
  const auth = read.oneOf('PARLEY_DATABASE_AUTH', ['url', 'entra'], 'url')
  const poolSize = read.integer('PARLEY_DATABASE_POOL', 10, 2, 1000)
  return url === undefined
    ? { engine: 'pglite', path: path.join(dataDir, 'sql') }
    : { engine: 'postgres', url, auth, poolSize }
}

function readModels(read: Reader): ModelsEnv {
  const apiKey = read.text('OPENAI_API_KEY')
  const baseUrl = read.url('OPENAI_BASE_URL', ['http:', 'https:'])
  const endpoint = read.url('AZURE_OPENAI_ENDPOINT', ['http:', 'https:'])
  return {
    openai: apiKey === undefined && baseUrl === undefined ? undefined : { apiKey, baseUrl: baseUrl ?? OPENAI_URL },
    azureOpenai: endpoint === undefined ? undefined : { endpoint, apiKey: read.text('AZURE_OPENAI_API_KEY') },
    egressHosts: read.list('PARLEY_EGRESS_HOSTS'),
  }
}

/** `id:base64,id:base64`, the current one first, each of 32 bytes. */
function readMasterKeys(read: Reader, dataDir: string, faults: string[]): MasterKeysEnv {
  const given = read.list('PARLEY_MASTER_KEYS')
  if (given.length === 0) return { source: 'file', path: path.join(dataDir, 'master.key') }
  const keys = given.map((item) => {
    const [id = '', encoded = ''] = item.split(':')
    return { id, key: Buffer.from(encoded, 'base64') }
  })
  const ids = new Set(keys.map(({ id }) => id))
  if (ids.size < keys.length || keys.some(({ id, key }) => !/^[\w.-]{1,64}$/.test(id) || key.length !== 32)) {
    faults.push('PARLEY_MASTER_KEYS has to be id:key pairs by comma, ids different, keys 32 bytes in base64')
  }
  return { source: 'environment', keys }
}
