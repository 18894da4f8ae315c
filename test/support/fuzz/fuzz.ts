import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { pino } from 'pino'
import { type EntraApp, startEntraApp } from '../entra-app.ts'
import { fuzzConfig } from './config.ts'
import { readDocument } from './document.ts'
import { exchanges } from './exchange.ts'
import { type Caller, hiddenMarks, Known, marked } from './known.ts'
import { requestOf } from './requests.ts'
import { startWatchdog } from './watchdog.ts'
import { renewing } from './world.ts'
import { wrongs } from './wrongs.ts'

const AT_ONCE = 8
const DRAWN_AT_ONCE = 50
const STANDSTILL_MS = 30_000
const EVERY_ROLE = ['Chat.User', 'Action.Approver', 'Config.Operator', 'Finance.Operator', 'Privacy.Officer', 'Admin']
const LIMITS = ['REQUESTS', 'TENANT_REQUESTS', 'CLIENT_REQUESTS', 'ADDRESS_REQUESTS'].map((of) => `${of}_PER_MINUTE`)
/** Who asks, by a die of ten, so that everybody comes to what is not for them, too. */
const ANYBODY = [0, 0, 0, 1, 1, 1, 2, 2, 2, 3] as const
const OPERATORS = [0, 1, 2, 2, 2, 2, 2, 2, 3, 3] as const
/** They leave little to find: one of them comes where of the others there are so many. */
const RARE = { operations: ['eraseMe', 'erasePerson'], oneIn: 5 }
/** So that no part of a run is that of another whose seed is near. */
const SEEDS_APART = 1_000_003

export interface FuzzOptions {
  requests: number
  seed: number
  /** Ids of those to draw from; all when empty. */
  operations?: readonly string[]
  /** Of engines that the app is to use instead of the embedded ones. */
  variables?: Record<string, string>
}

export interface FuzzReport {
  requests: number
  /** By operation and status. */
  answers: Map<string, Map<number, number>>
  /** What was found, each with how often and the first request that shows it. */
  faults: Map<string, { times: number; first: string }>
}

/** Sends that many requests, drawn from the published document, to the whole app behind Entra ID. */
export async function fuzz({ requests, seed, operations = [], variables = {} }: FuzzOptions): Promise<FuzzReport> {
  const report: FuzzReport = { requests: 0, answers: new Map(), faults: new Map() }
  const found = (what: string, first: string) => {
    const before = report.faults.get(what)
    report.faults.set(what, { times: (before?.times ?? 0) + 1, first: before?.first ?? first })
  }
  const unhandled = (reason: unknown) =>
    found(`unhandled: ${reason}`, reason instanceof Error ? String(reason.stack) : '')
  const log = pino({ level: 'error' }, { write: (line) => found(`logged as error: ${JSON.parse(line).msg}`, line) })
  const unlimited = [...LIMITS, 'STREAMS', 'TOKENS_PER_DAY'].map((name) => [`PARLEY_LIMIT_${name}`, '0'])
  process.on('unhandledRejection', unhandled)
  process.on('uncaughtException', unhandled)
  try {
    await using config = await fuzzConfig()
    const given = { ...Object.fromEntries(unlimited), ...config.variables, ...variables }
    await using app = await startEntraApp({ variables: given, log })
    await sendAll(app, config.documents, { requests, seed, operations }, report, found)
  } finally {
    process.off('unhandledRejection', unhandled)
    process.off('uncaughtException', unhandled)
  }
  return report
}

async function sendAll(
  app: EntraApp,
  documents: readonly { type: string; text: string }[],
  { requests, seed, operations: only = [] }: FuzzOptions,
  report: FuzzReport,
  found: (what: string, first: string) => void,
) {
  const { operations, resolve, misfit } = readDocument()
  const { home, guest } = app.issuer
  const caller = async (oid: string, tenant: typeof home, roles: readonly string[]): Promise<Caller> => {
    return { oid, tenant: tenant.id, headers: await app.as({ oid, tenant, roles }), mark: `mark-${randomUUID()}` }
  }
  const callers = await Promise.all([
    caller('ana', home, ['Chat.User', 'Action.Approver']),
    caller('bert', guest, EVERY_ROLE),
    caller('operator', home, EVERY_ROLE),
    caller('deputy', home, EVERY_ROLE),
  ])
  const known = new Known(callers)
  const renew = renewing(app.url, callers, known, found)
  const exchange = exchanges(app.url, AT_ONCE)
  const watchdog = startWatchdog(STANDSTILL_MS)
  const any = fc.oneof(
    ...operations
      .filter(({ id, path }) => (only.length === 0 ? !path.startsWith('/auth/') : only.includes(id)))
      .map((each) => ({
        arbitrary: requestOf(each, { resolve, documents }),
        weight: RARE.operations.includes(each.id) ? 1 : RARE.oneIn,
      })),
  )
  const drawn = (function* () {
    for (let left = requests, part = 0; left > 0; left -= DRAWN_AT_ONCE, part += 1)
      yield* fc.sample(any, { seed: (seed + part * SEEDS_APART) | 0, numRuns: Math.min(left, DRAWN_AT_ONCE) })
  })()
  const worker = async () => {
    for (const asked of drawn) {
      await renew.when(report.requests)
      const who = callers[(asked.operation.isForOperators ? OPERATORS : ANYBODY)[asked.caller] ?? 0]
      if (!who) continue
      const [path = ''] = asked.target.split('?')
      const target = marked(known.fill(asked.target, who), path, who)
      const body = asked.body && marked(known.fill(asked.body, who, target), path, who)
      const said = Object.entries(asked.headers)
        .map(([name, value]) => [name, known.fill(value, who, target)])
        .filter(([, value]) => value !== '')
      const headers: Record<string, string> = { ...who.headers, ...Object.fromEntries(said) }
      const full = { ...asked, target, body, headers }
      const shown = `${asked.operation.id} by ${who.oid}: ${asked.method} ${target.slice(0, 200)} ${JSON.stringify(Object.fromEntries(said)).slice(0, 200)} ${body?.slice(0, 600) ?? ''}`
      watchdog.asks(shown)
      const answer = await exchange.ask(full).catch((error: Error) => error)
      report.requests += 1
      if (answer instanceof Error) {
        found(`${asked.operation.id}: no answer: ${answer.message}`, shown)
        continue
      }
      const counted = report.answers.getOrInsertComputed(asked.operation.id, () => new Map())
      if (asked.isOfOperation) counted.set(answer.status, (counted.get(answer.status) ?? 0) + 1)
      const tell = (wrong: string) =>
        found(`${asked.operation.id}: ${wrong}`, `${shown} → ${answer.status} ${answer.text.slice(0, 500)}`)
      for (const wrong of wrongs(full, answer, misfit)) tell(wrong)
      // By another token it would be another who asks.
      if (headers.authorization !== who.headers.authorization) continue
      for (const [mark, what] of hiddenMarks(callers, who, path)) if (answer.text.includes(mark)) tell(what)
      const foreign = known.foreignId(who, `${target} ${body ?? ''} ${JSON.stringify(headers)}`, answer.text)
      if (foreign) tell('an id of the other tenant')
      if (answer.status < 300) known.keep(who, target, answer.text, answer.etag)
      renew.heard(asked.operation.id, answer.status, who, body)
    }
  }
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, worker))
    const alive = await fetch(`${app.url}/health/live`)
    if (alive.status !== 200) found('the process does not live', `${alive.status}`)
  } finally {
    exchange.close()
    await watchdog.stop()
  }
}
