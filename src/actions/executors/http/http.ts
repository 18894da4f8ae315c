import type { ActionSpec, HttpExecutorSpec } from '#config/action-spec.ts'
import { renderBody } from '../../templates/body-template.ts'
import type { Arguments } from '../../templates/placeholder.ts'
import type { Executor, ExecutorKind } from '../executor.ts'
import { renderHeaders } from './header-template.ts'
import type { HttpCall, HttpRequest } from './http-call.ts'
import { parseUrl, renderUrl, type UrlTemplate } from './url-template.ts'

const DEFAULT_TIMEOUT_MS = 30_000
const DEFAULT_RESPONSE_BYTES = 262_144

/** A call as the version writes it. */
interface Plan extends Pick<HttpRequest, 'effect' | 'timeoutMs' | 'dryRun'> {
  http: HttpExecutorSpec
  template: UrlTemplate
}

/** Actions that are calls of internal tools over HTTP. */
export function createHttpExecutors(call: HttpCall): ExecutorKind {
  const executorOf =
    (plan: Plan): Executor =>
    (args, context) =>
      call(compose(plan, args), context)

  return {
    executorOf: (_document, _name, spec) => {
      if (!spec.http) return undefined
      return executorOf(planOf(spec, spec.http, spec.http.url, false))
    },
    dryRunOf: (_document, _name, spec) => {
      if (!spec.http?.dryRun) return undefined
      return executorOf(planOf(spec, spec.http, spec.http.dryRun.url, true))
    },
  }
}

function planOf(spec: ActionSpec, http: HttpExecutorSpec, text: string, dryRun: boolean): Plan {
  const template = parseUrl(text)
  if (typeof template === 'string') throw new Error('The address of an action is not valid.')
  const effect = spec.access !== 'read'
  return { http, template, effect, timeoutMs: spec.timeoutMs ?? DEFAULT_TIMEOUT_MS, dryRun }
}

/** Method, address, headers and body of one call. */
function compose({ http, template, ...plan }: Plan, args: Arguments): HttpRequest {
  const { method, onBehalfOf, maxResponseBytes = DEFAULT_RESPONSE_BYTES } = http
  const content = http.body === undefined && hasBody(method) ? args : renderBody(http.body, args)
  const body = content === undefined ? undefined : JSON.stringify(content)
  const headers = renderHeaders(http.headers ?? {}, args)
  return { ...plan, method, url: renderUrl(template, args), headers, body, onBehalfOf, maxResponseBytes }
}

function hasBody(method: string): boolean {
  return method !== 'GET' && method !== 'DELETE'
}
