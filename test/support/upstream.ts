import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { keepAliveTimeout } from './keep-alive.ts'
import { eventsOf, type Plan, planFromMessage, wholeAnswer } from './upstream-plan.ts'

export type { Plan } from './upstream-plan.ts'

const MOST_BEHIND_MS = 100

/** A request as the upstream saw it; `sent`, `abortedAt` and `finished` go on changing. */
export interface SeenRequest {
  path: string
  headers: IncomingMessage['headers']
  body: Record<string, unknown>
  plan: Plan
  /** When it arrived, on the clock of `performance.now()`. */
  at: number
  /** Events with content that were handed to the socket. */
  sent: number
  /** When the caller closed the connection before the answer's end. */
  abortedAt: number | undefined
  finished: boolean
  /** Resolves when the response is over, one way or the other. */
  closed: Promise<void>
}

/** A mock of a provider with OpenAI's API on a free port of 127.0.0.1. */
export interface Upstream {
  /** To be given as OPENAI_BASE_URL, or as `baseUrl` of a model. */
  baseUrl: string
  host: string
  /**
   * How the next requests are answered: a queue, whose plans are used up, or a function. Where it has nothing, the last
   * user message steers (`mock: tokens=5 fault=reset`), and else there are 8 made-up tokens.
   */
  plan: Plan[] | ((request: Record<string, unknown>, path: string) => Plan | undefined)
  readonly requests: SeenRequest[]
  /** Resolves with the request number `count` (from 1), once it has arrived. */
  arrived(count: number): Promise<SeenRequest>
  close(): Promise<void>
}

export async function startUpstream(plan: Upstream['plan'] = []): Promise<Upstream> {
  const waiting: (() => void)[] = []
  const server = createServer({ keepAliveTimeout }, (request, response) => {
    request.socket.setNoDelay(true)
    const chunks: Buffer[] = []
    request.on('data', (chunk) => chunks.push(chunk))
    request.on('end', () => {
      if (request.method !== 'POST' || !request.url?.includes('/chat/completions')) {
        return sendJson(response, 404, {
          error: { message: 'There is no such address.', type: 'invalid_request_error' },
        })
      }
      const seen = record(request, response, Buffer.concat(chunks), upstream)
      upstream.requests.push(seen)
      for (const wake of waiting.splice(0)) wake()
      answer(seen, response, `chatcmpl-mock${upstream.requests.length}`)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const upstream: Upstream = {
    baseUrl: `http://${host}/v1`,
    host,
    plan,
    requests: [],
    arrived: async (count) => {
      for (;;) {
        const seen = upstream.requests[count - 1]
        if (seen) return seen
        await new Promise<void>((resolve) => waiting.push(resolve))
      }
    },
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return upstream
}

function record(request: IncomingMessage, response: ServerResponse, bytes: Buffer, upstream: Upstream): SeenRequest {
  const path = request.url ?? ''
  const body = JSON.parse(bytes.toString())
  const planned = typeof upstream.plan === 'function' ? upstream.plan(body, path) : upstream.plan.shift()
  const seen: SeenRequest = {
    path,
    headers: request.headers,
    body,
    plan: planned ?? planFromMessage(lastUserText(body)),
    at: performance.now(),
    sent: 0,
    abortedAt: undefined,
    finished: false,
    closed: new Promise((resolve) => response.once('close', resolve)),
  }
  response.once('close', () => {
    if (!seen.finished) seen.abortedAt = performance.now()
  })
  return seen
}

function answer(seen: SeenRequest, response: ServerResponse, id: string): void {
  const { plan, body } = seen
  if (plan.hang) return
  if (plan.status && plan.status !== 200) {
    seen.finished = true
    if (plan.retryAfter !== undefined) response.setHeader('retry-after', plan.retryAfter)
    if (plan.retryAfterMs !== undefined) response.setHeader('retry-after-ms', plan.retryAfterMs)
    const error = {
      error: { message: `The mock answers ${plan.status}.`, type: 'mock_error', code: null, param: null },
    }
    sendJson(response, plan.status, plan.errorBody ?? error)
    return
  }
  if (!body.stream) {
    seen.finished = true
    sendJson(response, 200, wholeAnswer(plan, id))
    return
  }
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' })
  response.flushHeaders()
  void stream(seen, response, id)
}

async function stream(seen: SeenRequest, response: ServerResponse, id: string): Promise<void> {
  const { plan, body } = seen
  const asked = (body.stream_options as { include_usage?: boolean } | undefined)?.include_usage === true
  const events = eventsOf(plan, id, plan.usage ?? asked)
  const lineEnd = plan.crlf ? '\r\n' : '\n'
  const frames = (list: readonly string[]) => list.map((event) => `data: ${event}${lineEnd}${lineEnd}`).join('')
  const put = (text: string) => write(response, Buffer.from(text), plan.frag === true)

  const left = new AbortController()
  response.once('close', () => left.abort())
  put(frames(events.opening))
  await pause(plan.firstDelayMs ?? 0, left.signal)
  const until = plan.fault ? Math.min(plan.at ?? events.content.length, events.content.length) : events.content.length
  const burst = plan.burst ?? 1
  let startedAt = performance.now()
  while (seen.sent < until && !left.signal.aborted) {
    if (seen.sent === plan.held?.at) await Promise.race([plan.held.until, once(left.signal, 'abort')])
    const size = Math.min(burst, until - seen.sent)
    put(frames(events.content.slice(seen.sent, seen.sent + size)))
    seen.sent += size
    if (plan.pace) {
      const aheadMs = startedAt + (seen.sent * 1000) / plan.pace - performance.now()
      // What a machine that stalled has missed is not made up for: an answer that takes its time must not be over all at once.
      if (aheadMs < -MOST_BEHIND_MS) startedAt -= aheadMs
      await pause(aheadMs, left.signal)
    } else await setImmediate()
  }
  if (left.signal.aborted) return
  if (plan.fault) return goWrong(seen, response, put)
  put(`${frames(events.closing)}data: [DONE]${lineEnd}${lineEnd}`)
  seen.finished = true
  response.end()
}

function goWrong(seen: SeenRequest, response: ServerResponse, put: (text: string) => void): void {
  const end = () => {
    seen.finished = true
    response.end()
  }
  switch (seen.plan.fault) {
    case 'garbage':
      put('data: {"id":"chatcmpl-mock","choices":[{"ind\n\n')
      end()
      return
    case 'half-chunk':
      put('data: {"id":"chatcmpl-mock","choices":[{"index":0,"delta":{"content":"hal')
      end()
      return
    case 'no-finish':
      end()
      return
    case 'error':
      put('data: {"error":{"message":"The mock gives up.","type":"server_error","code":null}}\n\n')
      end()
      return
    case 'keep-alives': {
      const timer = setInterval(() => put(': keep-alive\n\n'), 5)
      response.once('close', () => clearInterval(timer))
      return
    }
    case 'cut':
    case 'reset': {
      const frame = Buffer.from('data: {"id":"chatcmpl-mock","choices":[{"index":0,"delta":{"content":"🙂')
      seen.finished = true
      write(response, frame.subarray(0, -2), false)
      // What was written has to reach the caller before the connection goes.
      void setTimeout(10).then(() => {
        if (seen.plan.fault === 'reset') response.socket?.resetAndDestroy()
        else response.destroy()
      })
      return
    }
    default:
  }
}

/**
 * What the caller's HTTP parser hands on are the chunks of the transfer encoding. They are framed here, because
 * node:http makes one of all that is written in a tick.
 */
function write(response: ServerResponse, bytes: Buffer, eachAlone: boolean): void {
  const size = eachAlone ? 1 : bytes.length
  const chunks: Buffer[] = []
  for (let at = 0; at < bytes.length; at += size) {
    const part = bytes.subarray(at, at + size)
    chunks.push(Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n'))
  }
  response.socket?.write(Buffer.concat(chunks))
}

function sendJson(response: ServerResponse, status: number, body: object | string): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(typeof body === 'string' ? body : JSON.stringify(body))
}

function lastUserText(body: Record<string, unknown>): string {
  const messages = Array.isArray(body.messages) ? body.messages : []
  const content: unknown = messages.findLast((message) => message.role === 'user')?.content
  if (typeof content === 'string') return content
  return Array.isArray(content) ? content.map((part) => part.text ?? '').join('\n') : ''
}

/** Ends early when the caller leaves. */
async function pause(ms: number, left: AbortSignal): Promise<void> {
  if (ms > 0) await setTimeout(ms, undefined, { signal: left }).catch(() => {})
}
