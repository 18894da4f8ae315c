import path from 'node:path'
import { type Reader, reader, type Variables } from './env-reader.ts'
import { hasBlobStore, type RolloutEnv, readRollout, readShadow, type ShadowEnv } from './env-rollout.ts'
import { ParleyError } from './errors.ts'

export type { RolloutEnv, ShadowEnv } from './env-rollout.ts'

/** What the process runs on, shaped from the environment once, at boot. */
export interface Env {
  host: string
  port: number
  dataDir: string
  logLevel: LogLevel
  role: Role
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
  limits: LimitsEnv
  governance: GovernanceEnv
}

/** Who may call: whoever sits at this machine, or whom Entra ID knows. */
export type IdentityEnv =
  | { engine: 'local' }
  | {
      engine: 'entra'
      authority: string
      /** The home tenant, which operates. */
      tenant: string
      clientId: string
      /** For sign-in of browsers and for tokens on behalf of users. */
      clientSecret: string | undefined
      /** Whom tokens may be for: the client id, `api://` with it, and others that were named. */
      audiences: readonly string[]
      /** The delegated permission of clients that call for users. */
      scope: string
      /** Tenants that use, and do not operate. */
      guests: readonly string[]
      /** Where browsers find us, for sign-in. */
      publicUrl: string
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

/**
 * Where config versions and the state of their rollout are kept: two folders, or two containers of an account. `accountUrl`
 * with a SAS in its query, or without for `DefaultAzureCredential`; a connection string goes before it.
 */
export type BlobEnv =
  | { engine: 'folder'; versions: string; rollout: string }
  | {
      engine: 'azure'
      connectionString?: string | undefined
      accountUrl?: string | undefined
      versions: string
      rollout: string
    }

/** Who is told of metrics and spans. */
export interface TelemetryEnv {
  /** How this service is called there. */
  service: string
  /** Where metrics are served without asking who reads them; undefined: on the main port only, to operators. */
  metrics: { host: string; port: number } | undefined
  /** Of a collector that speaks OTLP over HTTP. */
  otlpEndpoint: string | undefined
  applicationInsights: string | undefined
}

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
  /** Whether tools of others have to be pinned by hash. */
  pinned: boolean
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
  /** How long the archive keeps turns that have ended. */
  archiveMs: number
}

/** What callers may ask for; a limit of 0 is none. */
export interface GovernanceEnv {
  /** On all replicas together. */
  limits: {
    /** Of a principal, a minute. */
    requestsPerMinute: number
    tenantRequestsPerMinute: number
    /** Of an application, for itself or for users. */
    clientRequestsPerMinute: number
    /** Turns and relayed requests of a principal at once. */
    streamsAtOnce: number
    /** Of a principal, a day by UTC. */
    tokensPerDay: number
    /** Of a tenant, in the first 24 hours after it was first seen. */
    firstDayRequests: number
  }
  /** Of an address, on each replica, before it is known who calls. */
  addressRequestsPerMinute: number
  /** Where alerts are posted. */
  alertWebhook: string | undefined
  /** Proxies whose `x-forwarded-for` is believed: addresses, and ranges in CIDR notation. */
  trustedProxies: readonly string[]
}

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
  const idleDays = read.integer('PARLEY_CONVERSATION_IDLE_DAYS', 90, 1, 3650)
  const env: Env = {
    host,
    port: read.integer('PORT', 8080, 0, 65_535),
    dataDir,
    logLevel: read.oneOf('PARLEY_LOG_LEVEL', LOG_LEVELS, 'info'),
    role: read.oneOf('PARLEY_ROLE', ROLES, 'all'),
    identity: readIdentity(read, host, faults),
    kv: readKv(read, dataDir),
    queue: readQueue(read, dataDir),
    sql: readSql(read, dataDir),
    blob: readBlob(read, dataDir),
    models: readModels(read),
    actions: {
      runsAtOnce: read.integer('PARLEY_RUNS_AT_ONCE', 64, 1, 10_000),
      runsWaiting: read.integer('PARLEY_RUNS_WAITING', 10_000, 1, 10_000_000),
      runLeaseMs: read.integer('PARLEY_RUN_LEASE_MS', 15_000, 500, 600_000),
      egressHosts: read.list('PARLEY_EGRESS_HOSTS'),
      privateRanges: read.list('PARLEY_EGRESS_PRIVATE'),
      mcpCommands: read.list('PARLEY_MCP_COMMANDS').map((command) => command.split(/\s+/)),
      pinned:
        read.oneOf('PARLEY_PINS', ['required', 'optional'], hasBlobStore(read) ? 'required' : 'optional') ===
        'required',
    },
    rollout: readRollout(read, faults),
    shadow: readShadow(read),
    telemetry: readTelemetry(read, faults),
    masterKeys: readMasterKeys(read, dataDir, faults),
    limits: {
      turnsAtOnce: read.integer('PARLEY_TURNS_AT_ONCE', 20_000, 1, 1_000_000),
      turnLeaseMs: read.integer('PARLEY_TURN_LEASE_MS', 10_000, 500, 600_000),
      drainMs: read.integer('PARLEY_DRAIN_MS', 20_000, 0, 600_000),
      conversationIdleMs: idleDays * 86_400_000,
      archiveMs: read.integer('PARLEY_ARCHIVE_DAYS', idleDays, 1, 36_500) * 86_400_000,
    },
    governance: readGovernance(read),
  }
  if (env.kv.engine === 'redis' && env.masterKeys.source === 'file') {
    faults.push('REDIS_URL needs PARLEY_MASTER_KEYS: replicas must share the keys that data is sealed with')
  }
  faults.push(...contradictions(env))
  if (faults.length > 0) throw new ParleyError('environment_invalid', { message: faults.join('; ') })
  return env
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

function readIdentity(read: Reader, host: string, faults: string[]): IdentityEnv {
  const tenant = read.text('ENTRA_TENANT_ID')
  const clientId = read.text('ENTRA_CLIENT_ID')
  const clientSecret = read.text('ENTRA_CLIENT_SECRET')
  const guests = read.list('PARLEY_ENTRA_GUESTS')
  const authority = read.url('PARLEY_ENTRA_AUTHORITY', ['https:']) ?? 'https://login.microsoftonline.com'
  if (tenant === undefined || clientId === undefined) {
    const isHalfSet = [tenant, clientId, clientSecret, guests[0]].some((value) => value !== undefined)
    if (isHalfSet) faults.push('Entra ID needs ENTRA_TENANT_ID and ENTRA_CLIENT_ID')
    return { engine: 'local' }
  }
  if (![tenant, ...guests].every((id) => /^[\w.-]{1,128}$/.test(id))) {
    faults.push('ENTRA_TENANT_ID and PARLEY_ENTRA_GUESTS have to be ids of tenants')
  }
  const audiences = [clientId, `api://${clientId}`, ...read.list('PARLEY_ENTRA_AUDIENCES')]
  const scope = read.text('PARLEY_ENTRA_SCOPE') ?? 'access_as_user'
  const publicUrl = read.url('PARLEY_PUBLIC_URL', ['https:', 'http:']) ?? `http://${host}:${read.text('PORT') ?? 8080}`
  const { protocol, hostname } = URL.parse(publicUrl) ?? { protocol: '', hostname: '' }
  if (protocol === 'http:' && !/^(localhost|127\.[\d.]+|\[::1\])$/.test(hostname) && read.text('PARLEY_PUBLIC_URL')) {
    faults.push('PARLEY_PUBLIC_URL has to be https, since it is where people sign in')
  }
  const isLoopback = /^(localhost|127\.[\d.]+|::1)$/.test(host)
  if (clientSecret !== undefined && !isLoopback && read.text('PARLEY_PUBLIC_URL') === undefined) {
    faults.push('PARLEY_PUBLIC_URL is needed where browsers sign in: it is where the authority sends them back to')
  }
  return {
    engine: 'entra',
    authority: authority.replace(/\/+$/, ''),
    tenant,
    clientId,
    clientSecret,
    audiences,
    scope,
    guests,
    publicUrl,
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

function readBlob(read: Reader, dataDir: string): BlobEnv {
  const connectionString = read.text('AZURE_STORAGE_CONNECTION_STRING')
  const accountUrl = read.url('AZURE_STORAGE_ACCOUNT_URL', ['http:', 'https:'])
  const versions = read.text('PARLEY_CONFIG_CONTAINER') ?? 'config-versions'
  const rollout = read.text('PARLEY_ROLLOUT_CONTAINER') ?? 'rollout'
  if (connectionString !== undefined || accountUrl !== undefined) {
    return { engine: 'azure', connectionString, accountUrl, versions, rollout }
  }
  return {
    engine: 'folder',
    versions: path.resolve(read.text('PARLEY_CONFIG_DIR') ?? 'config-versions'),
    rollout: path.resolve(read.text('PARLEY_ROLLOUT_DIR') ?? path.join(dataDir, 'rollout')),
  }
}

function readTelemetry(read: Reader, faults: string[]): TelemetryEnv {
  const isServed = read.text('PARLEY_METRICS_PORT') !== undefined
  const port = read.integer('PARLEY_METRICS_PORT', 0, 0, 65_535)
  const applicationInsights = read.text('APPLICATIONINSIGHTS_CONNECTION_STRING')
  if (applicationInsights !== undefined && !/(^|;)\s*InstrumentationKey=/i.test(applicationInsights)) {
    faults.push('APPLICATIONINSIGHTS_CONNECTION_STRING has to name an InstrumentationKey')
  }
  return {
    service: read.text('OTEL_SERVICE_NAME') ?? 'parley',
    metrics: isServed ? { host: read.text('PARLEY_METRICS_HOST') ?? '127.0.0.1', port } : undefined,
    otlpEndpoint: read.url('OTEL_EXPORTER_OTLP_ENDPOINT', ['http:', 'https:']),
    applicationInsights,
  }
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

/** Who sits alone at a machine is under no limits, unless they are set. */
function readGovernance(read: Reader): GovernanceEnv {
  const isAlone = read.text('ENTRA_TENANT_ID') === undefined
  const limit = (name: string, fallback: number) =>
    read.integer(`PARLEY_LIMIT_${name}`, isAlone ? 0 : fallback, 0, 10_000_000)
  return {
    limits: {
      requestsPerMinute: limit('REQUESTS_PER_MINUTE', 100),
      tenantRequestsPerMinute: limit('TENANT_REQUESTS_PER_MINUTE', 10_000),
      clientRequestsPerMinute: limit('CLIENT_REQUESTS_PER_MINUTE', 10_000),
      streamsAtOnce: limit('STREAMS', 5),
      tokensPerDay: limit('TOKENS_PER_DAY', 100_000),
      firstDayRequests: limit('FIRST_DAY_REQUESTS', 0),
    },
    addressRequestsPerMinute: limit('ADDRESS_REQUESTS_PER_MINUTE', 3000),
    alertWebhook: read.url('PARLEY_ALERT_WEBHOOK', ['http:', 'https:']),
    trustedProxies: read.list('PARLEY_TRUSTED_PROXIES'),
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
