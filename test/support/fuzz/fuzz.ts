import { randomUUID } from 'node:crypto'
import { Agent, request as send } from 'node:http'
import fc from 'fast-check'
import { pino } from 'pino'
import { errorCodes, ParleyError } from '../../../src/errors.ts'
import { type EntraApp, startEntraApp } from '../entra-app.ts'
import { readDocument } from './document.ts'
import { type FuzzRequest, requestOf } from './requests.ts'
import { MARK } from './values.ts'

const AT_ONCE = 8
const STREAM_MS = 100
/** Erasures are among what is drawn: what exists is made anew after so many requests. */
const RENEWED_EVERY = 300
const PATIENCE_MS = 15_000
const EVERY_ROLE = ['Chat.User', 'Action.Approver', 'Config.Operator', 'Finance.Operator', 'Privacy.Officer', 'Admin']
const LIMITS = ['REQUESTS', 'TENANT_REQUESTS', 'CLIENT_REQUESTS', 'ADDRESS_REQUESTS'].map((of) => `${of}_PER_MINUTE`)

export interface FuzzReport {
  seed: number
  requests: number
  statuses: Record<string, number>
  /** What was found, each with how often and the first request that shows it. */
  faults: Map<string, { times: number; first: string }>
}

interface Answer {
  status: number
  type: string
  text: string
}

/** Sends that many requests, drawn from the published document, to the whole app behind Entra ID. */
export async function fuzz({ requests, seed }: { requests: number; seed: number }): Promise<FuzzReport> {
  const report: FuzzReport = { seed, requests: 0, statuses: {}, faults: new Map() }
  const found = (what: string, first: string) => {
    const before = report.faults.get(what)
    report.faults.set(what, { times: (before?.times ?? 0) + 1, first: before?.first ?? first })
  }
  const unhandled = (reason: unknown) => found(`unhandled rejection: ${reason}`, '')
  const log = pino({ level: 'error' }, { write: (line) => found(`logged as error: ${JSON.parse(line).msg}`, line) })
  const variables = Object.fromEntries(
    [...LIMITS, 'STREAMS', 'TOKENS_PER_DAY'].map((name) => [`PARLEY_LIMIT_${name}`, '0']),
  )
  process.on('unhandledRejection', unhandled)
  try {
    await using app = await startEntraApp({ variables, log })
    await sendAll(app, requests, seed, report, found)
  } finally {
    process.off('unhandledRejection', unhandled)
  }
  return report
}

async function sendAll(
  app: EntraApp,
  requests: number,
  seed: number,
  report: FuzzReport,
  found: (what: string, first: string) => void,
) {
  const { operations, resolve, misfit } = readDocument()
  const marks = { home: `mark-${randomUUID()}`, guest: `mark-${randomUUID()}` }
  const callers = [
    {
      headers: await app.as({ oid: 'ana', roles: ['Chat.User', 'Action.Approver'] }),
      own: marks.home,
      foreign: marks.guest,
    },
    {
      headers: await app.as({ oid: 'bert', tenant: app.issuer.guest, roles: EVERY_ROLE }),
      own: marks.guest,
      foreign: marks.home,
    },
    { headers: await app.as({ oid: 'operator', roles: EVERY_ROLE }), own: marks.home, foreign: marks.guest },
  ]
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE })
  const ids: Record<string, string[]> = { conversation: [], turn: [], run: [] }
  const drawn = fc.sample(
    fc.oneof(...operations.filter(({ path }) => path !== '/auth/login').map((each) => requestOf(each, resolve))),
    { seed, numRuns: requests },
  )
  const keep = (text: string) => {
    for (const [id, kind] of text.matchAll(/\b(conv|turn|run)_[0-9a-z]+/gi)) {
      const exist = ids[kind === 'conv' ? 'conversation' : (kind ?? '')]
      if (!exist || exist.includes(id)) continue
      exist.push(id)
      if (exist.length > 40) exist.shift()
    }
  }
  const renew = async () => {
    for (const { headers, own } of callers) {
      const post = async (path: string, body: unknown) => {
        const answer = await fetch(app.url + path, {
          method: 'POST',
          headers: { ...headers, 'content-type': 'application/json' },
          body: JSON.stringify(body),
        })
        const text = await answer.text()
        if (answer.ok) keep(text)
        // Of somebody who is being erased meanwhile, what was begun is gone.
        else if (!/"code":"(conversation|turn)_not_found"/.test(text))
          found(`renewing ${path.replace(/conv_\w+/, '…')}: ${answer.status}`, text)
        return text
      }
      const made = await post('/api/v1/conversations', { specialist: 'hermes', title: own })
      const id = /conv_\w+/.exec(made)?.[0]
      if (id) await post(`/api/v1/conversations/${id}/turns`, { message: `Please open a ticket: ${own}` })
      await post('/api/v1/actions/create_ticket/runs', { arguments: { title: own, priority: 'high' } })
    }
  }
  let next = 0
  const worker = async () => {
    for (let asked = drawn[next++]; asked; asked = drawn[next++]) {
      if (next % RENEWED_EVERY === 1) await renew()
      const caller = callers[asked.caller]
      if (!caller) continue
      const target = asked.target.replace(/\{(\w+):(\d+)\}/, (_, kind: string, at: string) => {
        const exist = ids[kind] ?? []
        return exist[Number(at) % exist.length] ?? 'none'
      })
      const body = asked.body?.replaceAll(MARK, caller.own)
      const shown = `${asked.operation.id} by ${asked.caller}: ${asked.method} ${target.slice(0, 200)} ${JSON.stringify(asked.headers).slice(0, 200)} ${body?.slice(0, 600) ?? ''}`
      const full = {
        ...asked,
        target: target.replaceAll(encodeURIComponent(MARK), caller.own),
        body,
        headers: { ...caller.headers, ...asked.headers },
      }
      const answer = await exchange(app.url, agent, full).catch((error: Error) => error)
      report.requests += 1
      if (answer instanceof Error) {
        found(`${asked.operation.id}: no answer: ${answer.message}`, shown)
        continue
      }
      report.statuses[answer.status] = (report.statuses[answer.status] ?? 0) + 1
      for (const wrong of wrongs(full, answer, caller.foreign, misfit))
        found(`${asked.operation.id}: ${wrong}`, `${shown} → ${answer.text.slice(0, 500)}`)
      if (answer.status < 300) keep(answer.text)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  agent.destroy()
  const alive = await fetch(`${app.url}/health/live`)
  if (alive.status !== 200) found('the process does not live', `${alive.status}`)
}

type Misfit = ReturnType<typeof readDocument>['misfit']

function* wrongs(
  asked: FuzzRequest,
  { status, type, text }: Answer,
  foreign: string,
  misfit: Misfit,
): Iterable<string> {
  if (text.includes(foreign)) yield 'a mark of the other tenant'
  const isJson = type.startsWith('application/json')
  const json: unknown = isJson && text !== '' ? parsed(text) : undefined
  const isKnown = asked.isOfOperation && asked.operation.statuses.includes(status)
  if (status < 400) {
    if (asked.isOfOperation && !isKnown) yield `${status} is not documented`
    const wrong = isKnown && json !== undefined ? misfit(asked.operation, status, json) : undefined
    if (wrong) yield `${status} does not fit: ${wrong}`
    return
  }
  if (asked.method === 'HEAD') return
  const error = (json as { error?: { code?: string; message?: unknown; type?: unknown; param?: unknown } } | undefined)
    ?.error
  const code = errorCodes.find((known) => known === error?.code)
  if (!error || !code || typeof error.message !== 'string' || typeof error.type !== 'string' || !('param' in error))
    yield `${status} not in the one shape`
  if (status >= 500 && !(status === 503 && code && new ParleyError(code).retryable)) yield `${status} ${code}`
  if (asked.isOfOperation && !isKnown) yield `${status} ${code} is not documented`
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return 'not JSON'
  }
}

function exchange(url: string, agent: Agent, { method, target, headers, body }: FuzzRequest): Promise<Answer> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve, reject) => {
    const asking = send({ agent, hostname, port, method, path: target, headers, timeout: PATIENCE_MS }, (response) => {
      const chunks: Buffer[] = []
      const type = response.headers['content-type'] ?? ''
      const done = () => {
        clearTimeout(timer)
        resolve({ status: response.statusCode ?? 0, type, text: Buffer.concat(chunks).toString() })
      }
      const leave = () => asking.destroy()
      const timer = type.startsWith('text/event-stream') ? setTimeout(leave, STREAM_MS) : undefined
      response
        .on('data', (chunk: Buffer) => chunks.push(chunk))
        .on('error', () => {})
        .on('close', done)
    })
    asking.on('timeout', () => asking.destroy(new Error('timed out'))).on('error', reject)
    asking.end(body)
  })
}
