import { existsSync } from 'node:fs'
import type { FastifyInstance } from 'fastify'
import { createActions } from '#actions/create.ts'
import { builtinExecutors } from '#actions/executors/builtin/registry.ts'
import { serviceDesk } from '#actions/executors/builtin/service-desk/service-desk.ts'
import { lendToken } from '#actions/executors/lend-token.ts'
import { openExecutors } from '#actions/executors/open.ts'
import { readGivenUp } from '#actions/given-up.ts'
import { readRunFigures } from '#actions/run-figures.ts'
import { pruneRuns } from '#actions/runs/prune.ts'
import { createChat } from '#chat/create.ts'
import { diffConfigs, weakeningsOf } from '#config/diff/diff-configs.ts'
import type { ConfigVersion } from '#config/document.ts'
import { createRollouts } from '#config/rollout/create.ts'
import type { Serving } from '#config/serving.ts'
import { ParleyError } from '#errors.ts'
import { createEvents, type Events } from '#events/events.ts'
import { createAddressLimit } from '#governance/address-limit.ts'
import { openLedger } from '#governance/ledger/open.ts'
import { openGovernance } from '#governance/open.ts'
import { startPruning } from '#governance/pruning.ts'
import { isLoopbackHost } from '#identity/local.ts'
import { newId } from '#ids.ts'
import type { Log } from '#log.ts'
import { createModels } from '#models/create.ts'
import { createProviders } from '#models/providers/providers.ts'
import { countTokens } from '#models/tokenizer.ts'
import { openBlobStores } from '#platform/blob/open.ts'
import { type Clock, systemClock } from '#platform/clock.ts'
import { createTokenSource } from '#platform/credential.ts'
import { openDataFolder } from '#platform/data-folder.ts'
import { openEgress } from '#platform/egress/open.ts'
import { openKv } from '#platform/kv/open.ts'
import { openQueue } from '#platform/queue/open.ts'
import type { Secrets } from '#platform/secrets/secrets.ts'
import { openSql } from '#platform/sql/open.ts'
import { openTelemetry } from '#telemetry/telemetry.ts'
import { registerConfigApi, registerShadowApi } from '#transport/config-api.ts'
import { registerGovernanceApi } from '#transport/governance-api.ts'
import { defaultLimits, type TransportLimits } from '#transport/limits.ts'
import { type MetricsServer, serveMetrics } from '#transport/metrics-server.ts'
import {
  registerHealth,
  registerMetrics,
  registerNativeApi,
  registerRevoking,
  registerSignIn,
} from '#transport/native-api.ts'
import { registerOpenAiApi } from '#transport/openai/openai-api.ts'
import { registerPage } from '#transport/page/page-routes.ts'
import { registerPrivacyApi } from '#transport/privacy-api.ts'
import { tellRefusals } from '#transport/refusals.ts'
import { createServer } from '#transport/server.ts'
import { registerTracing } from '#transport/tracing.ts'
import { registerWebSocketApi } from '#transport/websocket/web-socket-api.ts'
import manifest from '../package.json' with { type: 'json' }
import { auditedVersions } from './audited-versions.ts'
import { openAuditing } from './auditing.ts'
import { openShedding } from './bearing.ts'
import type { Env } from './env.ts'
import { openIdentifying } from './identifying.ts'
import { openKeeping } from './keeping.ts'
import { openKeying } from './keying.ts'
import { Lifetime } from './lifetime.ts'
import { migrations } from './migrations.ts'
import { openPersonalData } from './personal-data.ts'
import { openShadowing } from './shadowing.ts'
import { tellTelemetry } from './tell-telemetry.ts'
import { type Use, usesOf } from './uses.ts'
import { openVersions } from './versions.ts'

/** The whole process, built and not yet listening. */
export interface App {
  server: FastifyInstance
  /** Turns and relayed requests under way. */
  live(): number
  /** What serves each need, to be shown at start. */
  uses: readonly Use[]
  /** Where metrics are served without asking who reads them, if anywhere; known after `listen`. */
  readonly metricsAddress: string | undefined
  /** Resolves with the address once requests are served. */
  listen(): Promise<string>
  /** Loads what would hold up the first who needs it; for after `listen`, in the background. */
  prepare(): Promise<void>
  /** Not ready at once, the grace time for turns, then all closed in reverse order; rejects when a part could not be. */
  stop(): Promise<void>
}

/** What tests hand in instead of the real thing. */
export interface Overrides {
  clock?: Clock
  limits?: Partial<TransportLimits>
  /** Who is served from which of the app's versions. */
  serving?(versions: { get(name: string): ConfigVersion | undefined }): Serving
  /** Hears what happens. */
  listen?(events: Events): void
  /** Whether this replica has enough to do to leave turns uncopied. */
  isLoaded?(): boolean
}

export interface CreateAppOptions extends Overrides {
  /** Gives the start up, where that waits for what is out of reach. */
  signal?: AbortSignal
  /** Where `env` has its secrets from, if they can be rotated. */
  secrets?: Secrets
}

/** What runs under way get once the last turn has ended. */
const LAST_RUNS_MS = 5000

/** The composition root: reads top to bottom in dependency order. */
export async function createApp(env: Env, log: Log, overrides: CreateAppOptions = {}): Promise<App> {
  if (env.identity.engine === 'local' && !isLoopbackHost(env.host)) {
    throw new ParleyError('environment_invalid', {
      message: 'HOST: without Entra ID only loopback is served (127.0.0.1, ::1, localhost)',
    })
  }
  const clock = overrides.clock ?? systemClock
  const limits = { ...defaultLimits, ...overrides.limits }
  const { drainMs, closeMs, startPatienceMs: patienceMs, conversationIdleMs } = env.limits
  await using opened = new Lifetime({ clock, log, partMs: (closeMs * 2) / 3 })

  // telemetry
  const replica = newId('rep')
  const service = { name: env.telemetry.service, version: manifest.version, instance: replica }
  const telemetry = await openTelemetry({ env: env.telemetry, service, clock, log })
  opened.defer('telemetry', () => telemetry.close())
  const { spans } = telemetry

  // platform
  const isEmbedded = [env.kv.engine, env.queue.engine].includes('sqlite') || env.sql.engine === 'pglite'
  if (isEmbedded || env.masterKeys.source === 'file') opened.use('data folder', await openDataFolder(env.dataDir))
  const tokens = createTokenSource()
  const { secrets, signal } = overrides
  const onUnauthorized = () => secrets?.doubt()
  if (secrets) opened.defer('secrets', secrets.keepFresh(log))
  const kv = await openKv({ env: env.kv, patienceMs, signal, clock, log, tokens, onUnauthorized })
  opened.defer('state', () => kv.close())
  const queue = await openQueue({ env: env.queue, patienceMs, signal, clock, log, tokens, secrets })
  opened.defer('queue', () => queue.close())
  // PGlite is not opened to be asked what cannot be in it.
  const hasSql = () => env.sql.engine === 'postgres' || existsSync(env.sql.path)
  const hasRuns = hasSql()
  const sql = await openSql({ env: env.sql, migrations, patienceMs, signal, clock, log, tokens, onUnauthorized })
  opened.defer('database', () => sql.close())
  signal?.throwIfAborted()

  // conversations
  const { conversations, archive, ...keeping } = await openKeeping({ env, kv, sql, secrets, clock, log })
  opened.defer('conversations', () => keeping.close())

  // identity
  const { fetch, mailer, sealOf, authenticator, userTokens, signIn, revoke, ...identifying } = openIdentifying({
    ...{ env, kv, conversations, clock, log, onUnauthorized },
    groupsWanted: (tenant) => budgets.groups(tenant),
    ...{ withdrawals: () => stops, onAway: (away) => events.emit('identity.away', away) },
  })
  opened.defer('identity', () => identifying.close())

  // models
  const providers = createProviders({ env: env.models, tokens, clock, onUnauthorized })
  opened.defer('providers', () => providers.close())
  const models = createModels({ providers, clock, log, spans })
  opened.defer('models', () => models.close())

  // config, with what its parts are checked by
  const { egressHosts: hosts, privateRanges, mcpCommands } = env.actions
  const { egress, streaming } = openEgress({ hosts, privateRanges, clock })
  opened.defer('egress', () => streaming.close())
  const functions = new Map([...builtinExecutors, ...serviceDesk(sql)])
  const executors = openExecutors({
    functions,
    egress,
    fetch: streaming.fetch,
    mcpCommands,
    clock,
    log,
  })
  opened.defer('executors', () => executors.close())
  const blobs = await openBlobStores({ env: env.blob, clock, log, tokens, onUnauthorized })
  opened.defer('config versions store', () => blobs.versions.close())
  opened.defer('rollout store', () => blobs.rollout.close())
  const configs = await openVersions({
    ...{ env, blobs, clock, log },
    functions: [...functions.keys()],
    signal,
  })
  opened.defer('config versions', () => configs.close())
  const events = createEvents(log)
  overrides.listen?.(events)
  const ledger = openLedger({ sql, kv, clock, log, keepMs: env.retention.ledgerMs })
  opened.defer('ledger', () => ledger.close())
  opened.defer('relays', events.on('relay.ended', ledger.relayEnded))
  const auditing = openAuditing({ sql, clock, log, events, isAwake: hasSql, identity: env.identity })
  opened.defer('audit', () => auditing.close())
  const { audit } = auditing
  if (hasRuns)
    opened.defer(
      'pruning',
      startPruning({ env: env.retention, ledger, audit, pruneRuns: (before) => pruneRuns(sql, before), clock, log }),
    )
  const rollout = await createRollouts({
    ...{ kv, clock, log, events, weakeningsOf },
    blobs: blobs.rollout,
    versions: configs,
    env: env.rollout,
    listener: auditing,
  })
  const { stable } = rollout.serving
  const audited = auditedVersions(configs, { note: audit.note, home: auditing.home, isAwake: hasSql, stable })
  if (env.sql.engine === 'postgres') void auditing.lookBack(rollout.rollouts).then(() => audited.lookBack())
  opened.defer('rollout', () => rollout.close())
  const serving = overrides.serving?.(configs) ?? rollout.serving
  const useModels = () =>
    models.use(
      serving
        .inUse()
        .flatMap(({ document }) => Object.entries(document.models).map(([name, spec]) => ({ name, spec }))),
    )
  useModels()
  opened.defer('models in use', serving.onChange(useModels))

  // governance
  const governance = await openGovernance({
    ...{ sql, kv, clock, log, events, ledger, fetch, mailer },
    env: env.governance,
    atOnce: env.limits.turnsAtOnce,
    record: audit.record,
    note: audit.note,
    awake: hasRuns,
  })
  opened.defer('governance', () => governance.close())
  const { admission, budgets, stops } = governance
  const keying = openKeying({
    ...{ sql, hasSql, stops, audit, identity: env.identity, others: authenticator, clock, log },
  })
  opened.defer('keys', () => keying.keys.close())

  // actions, chat
  const actions = createActions({
    sql,
    queue,
    kv,
    clock,
    log,
    executors,
    configs: { find: (name) => configs.find(name), current: () => serving.stable() },
    serving,
    events,
    sealOf,
    userToken: (user, scope) => lendToken(userTokens, user, scope),
    replica,
    works: env.role !== 'api',
    awake: hasRuns,
    alone: env.sql.engine === 'pglite',
    concurrency: env.actions.runsAtOnce,
    leaseMs: env.actions.runLeaseMs,
    sweepEveryMs: 1000,
    maxWaiting: env.actions.runsWaiting,
    spans,
    audit,
    isLive: keying.keys.isLive,
    stops,
    admission,
  })
  const stopHearing = userTokens?.onUsable((user) => {
    actions.userIsBack(user).catch((error) => log.warn({ err: error }, 'Runs of a user who is back could not be woken'))
  })
  if (stopHearing) opened.defer('users who are back', stopHearing)
  const shadowing = await openShadowing({
    ...{ env, kv, versions: configs, serving, providers, models, actions, ledger, stops, clock, log },
    note: audit.note,
    hasConsented: (person) => privacy.consents.has(person, 'shadow'),
    isLoaded: overrides.isLoaded,
  })
  opened.defer('shadows', () => shadowing.close())
  const chat =
    env.role === 'worker'
      ? undefined
      : createChat({
          ...{ kv, clock, log, models, actions, conversations, archive, configs, serving, events, replica, spans },
          ...{ stops, budgets, admission, conversationIdleMs, isLive: keying.keys.isLive },
          shadow: shadowing.turns,
          settled: ledger.turnEnded,
          leaseMs: env.limits.turnLeaseMs,
        })
  const privacy = openPersonalData({
    ...{ kv, sql, hasSql, conversations, actions, chat, ledger, keys: keying.keys, clock, log },
    record: audit.record,
  })
  opened.defer('erasures', () => privacy.erasures.close())

  // transport
  let stopping = false
  const shedding = openShedding(env.http, clock, log)
  opened.defer('shedding', () => shedding.close())
  const ready = () =>
    stopping ? 'shutting down' : (kv.fault ?? (shedding.cause && `too much to do: ${shedding.cause}`))
  const { addressRequestsPerMinute, trustedProxies } = env.governance
  const limitAddress = addressRequestsPerMinute > 0 ? createAddressLimit(addressRequestsPerMinute, clock) : undefined
  const { corsOrigins } = env.http
  const publicUrl = env.identity.engine === 'entra' ? env.identity.publicUrl : undefined
  const server = createServer({
    ...{ log, clock, limits, limitAddress, trustedProxies, corsOrigins, publicUrl },
    authenticator: keying.authenticator,
    checkLoad: shedding.check,
  })
  registerTracing(server, spans)
  tellRefusals(server, auditing.onRefused)
  registerMetrics(server, telemetry.scrape)
  if (chat) {
    const api = {
      log,
      clock,
      actions,
      chat,
      conversations,
      serving,
      models,
      note: audit.note,
      limits,
      version: manifest.version,
      ready,
    }
    registerNativeApi(server, api)
    const { rollouts } = rollout
    registerConfigApi(server, { versions: audited, rollouts, diff: diffConfigs, env: env.rollout }, log)
    registerShadowApi(server, shadowing.shadows)
    registerGovernanceApi(server, { ...governance, ledger, audit, clock, keys: keying.keys })
    registerPrivacyApi(server, privacy)
    registerWebSocketApi(server, api)
    registerOpenAiApi(server, { chat, log, clock, limits })
    registerPage(server)
    if (signIn) registerSignIn(server, signIn, audit.note)
    if (revoke) registerRevoking(server, revoke, audit.note)
  } else {
    registerHealth(server, ready)
  }

  telemetry.observe(
    {
      runs: async () => (hasSql() ? readRunFigures(sql, clock.now()) : []),
      brokerDeadLetters: () => readGivenUp(queue, clock.now()),
      liveTurns: () => chat?.live ?? 0,
      openStreams: () => server.eventStreams.size,
      shedding: () => shedding,
      alerts: governance.alerts,
      models: () => models.health(),
      verdict: () => {
        const { live, verdict } = rollout.rollouts.view()
        return live ? verdict.decision : undefined
      },
      dependencies: () => ({
        state: kv.reachable,
        runs: sql.reachable,
        queue: queue.reachable,
        config: blobs.versions.reachable && blobs.rollout.reachable,
        ...(secrets?.engine === 'key-vault' && { secrets: secrets.reachable }),
      }),
    },
    (action) => serving.inUse().some(({ document }) => Object.hasOwn(document.actions ?? {}, action)),
  )
  tellTelemetry(events, telemetry)
  let metricsServer: MetricsServer | undefined
  opened.defer('metrics', () => metricsServer?.close())

  const lifetime = opened.move()
  return {
    server,
    live: () => chat?.live ?? 0,
    uses: usesOf(env, { kv: kv.engine, sql: sql.engine, queue: queue.engine }, configs.newest().name),
    get metricsAddress() {
      return metricsServer?.address
    },
    async listen() {
      const { metrics } = env.telemetry
      if (metrics) metricsServer = await serveMetrics(metrics, telemetry.scrape, log)
      return server.listen({ host: env.host, port: env.port, backlog: 4096 })
    },
    async prepare() {
      await telemetry.prepare()
      await countTokens('')
    },
    async stop() {
      if (stopping) return
      stopping = true
      ledger.hurry()
      // Turns that run may still wait for their actions.
      await Promise.all([
        lifetime.end('turns', () => chat?.drain(drainMs), drainMs + closeMs),
        lifetime.end('copies of turns', () => shadowing.turns.close()),
      ])
      await lifetime.end('server', () => server.close())
      await lifetime.end('runs', () => actions.drain(LAST_RUNS_MS), LAST_RUNS_MS + closeMs)
      await lifetime.close()
    },
  }
}
