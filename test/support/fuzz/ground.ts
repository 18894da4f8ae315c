import { randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import { setTimeout as passed } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { pino } from 'pino'
import { defaultLimits } from '#transport/limits.ts'
import { type EntraApp, startEntraApp } from '../entra-app.ts'
import { freePort } from '../free-port.ts'
import { startOidcIssuer } from '../oidc-issuer.ts'
import { fuzzConfig } from './config.ts'
import { readDocument } from './document.ts'
import { type Caller, Known } from './known.ts'
import { startWatchdog } from './watchdog.ts'
import { renewing } from './world.ts'

/** Of other origins the one whose pages may call. */
export const LISTED = 'https://shop.example'
/** So many WebSockets at once, that there can be one more. */
export const WEB_SOCKETS = 60

const EVERY_ROLE = ['Chat.User', 'Action.Approver', 'Config.Operator', 'Finance.Operator', 'Privacy.Officer', 'Admin']
const LIMITS = ['REQUESTS', 'TENANT_REQUESTS', 'CLIENT_REQUESTS', 'ADDRESS_REQUESTS'].map((of) => `${of}_PER_MINUTE`)
/** Of what operators have stopped, and operators are among those who ask. */
const ALERT = 'An alert was raised'
const STANDSTILL_MS = 30_000
/** Connections that nobody has any more are gone after so long. */
const GONE_MS = 60_000
/** From the first quarter of many requests to their end; caches fill meanwhile. */
const GROWTH_MIB = 64
const MANY = 4000

export interface FuzzReport {
  requests: number
  /** By what was asked and how it was answered. */
  answers: Map<string, Map<string, number>>
  /** What was found, each with how often and the first request that shows it. */
  faults: Map<string, { times: number; first: string }>
}

export type Found = (what: string, first: string) => void

/** The whole app behind Entra ID, everybody who asks it, and what was found so far. */
export interface Ground extends AsyncDisposable {
  app: EntraApp
  port: number
  documents: readonly { type: string; text: string }[]
  document: ReturnType<typeof readDocument>
  callers: readonly Caller[]
  known: Known
  renew: ReturnType<typeof renewing>
  found: Found
  /** What is asked next, for the case that nothing is ever asked after it. */
  asks(what: string): void
  /** One more request of so many, and how it was answered where that is to be told. */
  count(asked: string, answered: string | undefined, of: number): void
  /** Resolves once the process has let go of the connections from these ports. */
  gone(ports: Iterable<number>): Promise<void>
  /** That the process lives, that it has let go of the connections from these ports, and of memory. */
  conclude(ports: Iterable<number>): Promise<void>
  /** What was found since the last time. */
  report(): FuzzReport
}

/** `variables`: of engines that the app is to use instead of the embedded ones. */
export async function startGround(variables: Record<string, string> = {}): Promise<Ground> {
  await using opened = new AsyncDisposableStack()
  let report = emptyReport()
  let early = Number.NaN
  const found: Found = (what, first) => {
    const before = report.faults.get(what)
    report.faults.set(what, { times: (before?.times ?? 0) + 1, first: before?.first ?? first })
  }
  const unhandled = (reason: unknown) =>
    found(`unhandled: ${reason}`, reason instanceof Error ? String(reason.stack) : '')
  for (const kind of ['unhandledRejection', 'uncaughtException'] as const) {
    process.on(kind, unhandled)
    opened.defer(() => void process.off(kind, unhandled))
  }
  const hear = (line: string) => {
    const { msg } = JSON.parse(line) as { msg: string }
    if (msg !== ALERT) found(`logged as error: ${msg}`, line)
  }
  const config = opened.use(await fuzzConfig())
  const port = await freePort()
  const issuer = opened.use(await startOidcIssuer([`http://127.0.0.1:${port}/auth/callback`]))
  const unlimited = [...LIMITS, 'STREAMS', 'TOKENS_PER_DAY'].map((name) => [`PARLEY_LIMIT_${name}`, '0'])
  const app = opened.use(
    await startEntraApp({
      issuer,
      variables: {
        ...Object.fromEntries(unlimited),
        ...config.variables,
        PORT: String(port),
        PARLEY_CORS_ORIGINS: `http://localhost:5173,${LISTED}`,
        ...variables,
      },
      log: pino({ level: 'error' }, { write: hear }),
      overrides: { limits: { websocket: { ...defaultLimits.websocket, connections: WEB_SOCKETS } } },
    }),
  )
  const watchdog = startWatchdog(STANDSTILL_MS)
  opened.defer(() => watchdog.stop())
  const open = new Set<number | undefined>()
  app.app.server.server.on('connection', (socket: Socket) => {
    const { remotePort } = socket
    open.add(remotePort)
    socket.once('close', () => open.delete(remotePort))
  })
  const { home, guest } = issuer
  const caller = (oid: string, { id: tenant }: typeof home, roles: readonly string[]): Caller => {
    return { oid, tenant, roles, headers: {}, mark: `mark-${randomUUID()}` }
  }
  const callers = [
    caller('ana', home, ['Chat.User', 'Action.Approver']),
    caller('bert', guest, EVERY_ROLE),
    caller('operator', home, EVERY_ROLE),
    caller('deputy', home, EVERY_ROLE),
  ]
  const issue = async ({ oid, tenant, roles, headers }: Caller) => {
    // Of the next second: one of the same as a revocation is taken for one of before.
    const claims = { iat: Math.floor(Date.now() / 1000) + 1 }
    Object.assign(headers, await app.as({ oid, tenant: tenant === home.id ? home : guest, roles, claims }))
  }
  await Promise.all(callers.map(issue))
  const known = new Known(callers)
  const gone = async (ports: Iterable<number>) => {
    const left = () => [...ports].filter((each) => open.has(each)).length
    for (let waited = 0; left() > 0 && waited < GONE_MS; waited += 50) await passed(50)
    if (left() > 0) found('connections are left', `${left()}`)
  }
  const closing = opened.move()
  return {
    app,
    port,
    documents: config.documents,
    document: readDocument(),
    callers,
    known,
    renew: renewing(app.url, callers, known, found, issue),
    found,
    asks: watchdog.asks,
    count(asked, answered, of) {
      report.requests += 1
      const counted = report.answers.getOrInsertComputed(asked, () => new Map())
      if (answered !== undefined) counted.set(answered, (counted.get(answered) ?? 0) + 1)
      if (of >= MANY && report.requests === Math.floor(of / 4)) early = heapMib()
    },
    gone,
    async conclude(ports) {
      const alive = await fetch(`${app.url}/health/live`)
      if (alive.status !== 200) found('the process does not live', `${alive.status}`)
      await gone(ports)
      const grown = Math.round(heapMib() - early)
      if (grown > GROWTH_MIB) found('memory has grown', `by ${grown} MiB since the first quarter`)
    },
    report() {
      const done = report
      report = emptyReport()
      early = Number.NaN
      return done
    },
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  }
}

function emptyReport(): FuzzReport {
  return { requests: 0, answers: new Map(), faults: new Map() }
}

/** What is left once nothing is that nobody needs. */
function heapMib(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return (heapUsed + external) / 2 ** 20
}
