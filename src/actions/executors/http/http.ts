import type { ActionSpec, HttpExecutorSpec } from '#config/action-spec.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import { createEgress, type EgressOptions, EgressRefused } from '#platform/egress/egress.ts'
import type { Executor, ExecutorContext, ExecutorKind } from '../executor.ts'
import { renderBody } from './body-template.ts'
import { checkHttp } from './check.ts'
import { failureOf } from './failure.ts'
import { renderHeaders } from './header-template.ts'
import type { Arguments } from './placeholder.ts'
import { parseUrl, renderUrl, type UrlTemplate } from './url-template.ts'
import { judge } from './verdict.ts'

const CONNECT_TIMEOUT_MS = 10_000
const DEFAULT_TIMEOUT_MS = 30_000
const DEFAULT_RESPONSE_BYTES = 262_144

export interface HttpExecutorOptions {
  /** What the environment permits. */
  egress: Omit<EgressOptions, 'clock'>
  clock: Clock
  log: Log
}

/** A call as the version writes it. */
interface Plan {
  name: string
  http: HttpExecutorSpec
  url: UrlTemplate
  /** Whether it may change something at the target. */
  effect: boolean
  timeoutMs: number
  dryRun: boolean
}

/** Actions that are calls of internal tools over HTTP. Throws when a host or a range of the environment cannot be read. */
export function createHttpExecutors({ egress: rules, clock, log }: HttpExecutorOptions): ExecutorKind {
  const egress = createEgress({ ...rules, clock })

  const executorOf = (plan: Plan): Executor => {
    const { http } = plan
    const maxResponseBytes = http.maxResponseBytes ?? DEFAULT_RESPONSE_BYTES
    return async (args, context) => {
      const { signal } = context
      const call = compose(plan, args, context)
      const { onBehalfOf } = http
      const token = onBehalfOf === undefined ? undefined : await context.userToken(onBehalfOf)
      const headers = token === undefined ? call.headers : { ...call.headers, authorization: `Bearer ${token}` }
      const timeouts = { connectMs: CONNECT_TIMEOUT_MS, totalMs: plan.timeoutMs }
      const beforeSend = plan.effect ? () => context.begin() : undefined
      const request = { ...call, headers, signal, timeouts, maxResponseBytes, beforeSend }
      const answer = await egress.request(request).catch((error: unknown) => {
        if (error instanceof EgressRefused) {
          const { host, reason } = error
          log.warn({ action: plan.name, run: context.run, host, reason }, 'a call of a tool was not permitted')
        }
        throw failureOf(error, maxResponseBytes, clock.now())
      })
      return judge(answer, clock.now())
    }
  }

  return {
    executorOf: (_document, name, spec) => {
      if (!spec.http) return undefined
      return executorOf(planOf(name, spec, spec.http, spec.http.url, false))
    },
    dryRunOf: (_document, name, spec) => {
      if (!spec.http?.dryRun) return undefined
      return executorOf(planOf(name, spec, spec.http, spec.http.dryRun.url, true))
    },
    check: (_document, name, spec) => {
      if (!spec.http) return []
      return checkHttp(spec.http, spec.parameters, egress.permits).map(({ path, message }) => {
        return { path: ['actions', name, 'http', ...path], message }
      })
    },
  }
}

function planOf(name: string, spec: ActionSpec, http: HttpExecutorSpec, text: string, dryRun: boolean): Plan {
  const url = parseUrl(text)
  if (typeof url === 'string') throw new Error('The address of an action is not valid.')
  const effect = !dryRun && spec.access !== 'read'
  return { name, http, url, effect, timeoutMs: spec.timeoutMs ?? DEFAULT_TIMEOUT_MS, dryRun }
}

/** Method, address, headers and body of one call, without what proves the user's identity. */
function compose({ http, url, dryRun }: Plan, args: Arguments, { key, traceparent }: ExecutorContext) {
  const { method } = http
  const content = http.body === undefined && hasBody(method) ? args : renderBody(http.body, args)
  const body = content === undefined ? undefined : JSON.stringify(content)
  const headers = {
    accept: 'application/json, text/*;q=0.9, */*;q=0.1',
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    ...renderHeaders(http.headers ?? {}, args),
    'user-agent': 'parley',
    // A dry run under the same key would be what the target remembers when the call itself comes.
    ...(dryRun ? {} : { 'idempotency-key': key }),
    ...(traceparent === undefined ? {} : { traceparent }),
  }
  return { method, url: renderUrl(url, args), headers, body }
}

function hasBody(method: string): boolean {
  return method !== 'GET' && method !== 'DELETE'
}
