import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import { type Egress, EgressRefused } from '#platform/egress/egress.ts'
import type { ExecutorContext } from '../executor.ts'
import { failureOf } from './failure.ts'
import { judge } from './verdict.ts'

/** One call of an internal tool, all of it written out but for what the run brings along. */
export interface HttpRequest {
  method: string
  url: URL
  /** Names in lower case. */
  headers: Readonly<Record<string, string>>
  body: string | undefined
  /** The scope of the token of the user who asks. */
  onBehalfOf: string | undefined
  /** Whether it may change something at the target. */
  effect: boolean
  /** It only asks what would happen. */
  dryRun: boolean
  timeoutMs: number
  maxResponseBytes: number
}

/** Makes the call; answers and throws as executors do. */
export type HttpCall = (request: HttpRequest, context: ExecutorContext) => Promise<unknown>

const CONNECT_TIMEOUT_MS = 10_000

export function createHttpCall(egress: Egress, clock: Clock, log: Log): HttpCall {
  return async (request, context) => {
    const { method, url, body, onBehalfOf, effect, dryRun, timeoutMs, maxResponseBytes } = request
    const { signal, key, traceparent } = context
    const token = onBehalfOf === undefined ? undefined : await context.userToken(onBehalfOf)
    const headers = {
      accept: 'application/json, text/*;q=0.9, */*;q=0.1',
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...request.headers,
      'user-agent': 'parley',
      // A dry run under the same key would be what the target remembers when the call itself comes.
      ...(!dryRun && { 'idempotency-key': key }),
      ...(traceparent !== undefined && { traceparent }),
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    }
    const timeouts = { connectMs: CONNECT_TIMEOUT_MS, totalMs: timeoutMs }
    const beforeSend = effect && !dryRun ? () => context.begin() : undefined
    const sent = { method, url, headers, body, signal, timeouts, maxResponseBytes, beforeSend }
    const answer = await egress.request(sent).catch((error: unknown) => {
      if (error instanceof EgressRefused) {
        const { host, reason } = error
        log.warn({ run: context.run, host, reason }, 'A call of a tool was not permitted')
      }
      throw failureOf(error, maxResponseBytes, clock.now())
    })
    return judge(answer, clock.now())
  }
}
