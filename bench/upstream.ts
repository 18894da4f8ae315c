/**
 * The mock provider. node:http reads the request; what follows the head are chunks made once, framed already, straight to
 * the socket. `POST /v1/chat/completions` answers by the plan in the last message, `GET /aborted` tells (once) which
 * requests were given up, and when.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { machineMs, type Plan, planOf, tokenText } from './steering.ts'

export interface Aborted {
  id: string
  atMs: number
}

interface Answer {
  plan: Plan
  response: ServerResponse
  socket: Socket
  /** What follows the last token. */
  end: Buffer
  startedMs: number
  sent: number
  over: boolean
}

const COMMON = {
  id: 'chatcmpl-mock0000000000000000000000000',
  object: 'chat.completion.chunk',
  created: 1_760_000_000,
  model: 'mock-1',
  service_tier: 'default',
  system_fingerprint: 'fp_0000000000',
}
const HEAD = framed(chunk({ role: 'assistant', content: '', refusal: null }))

let aborted: Aborted[] = []
/** Writes of an answer by how they are cut: `burst` tokens from the index on. */
const writes = new Map<string, Buffer>()

function event(fields: object): string {
  return `data: ${JSON.stringify({ ...COMMON, ...fields })}\n\n`
}

function chunk(delta: object, finish: string | null = null): string {
  return event({ choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }] })
}

function framed(text: string): Buffer {
  return Buffer.from(`${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`)
}

function write(from: number, count: number): Buffer {
  const key = `${from} ${count}`
  const known = writes.get(key)
  if (known) return known
  const made = framed(Array.from({ length: count }, (_, at) => chunk({ content: tokenText(from + at) })).join(''))
  writes.set(key, made)
  return made
}

function tail(tokens: number, withUsage: boolean): Buffer {
  const usage = { prompt_tokens: 20, completion_tokens: tokens, total_tokens: 20 + tokens }
  return framed(`${chunk({}, 'stop')}${withUsage ? event({ choices: [], usage }) : ''}data: [DONE]\n\n`)
}

function sendNext(answer: Answer): void {
  const { plan, socket } = answer
  const count = Math.min(plan.burst, plan.tokens - answer.sent)
  socket.write(write(answer.sent, count))
  answer.sent += count
}

/** By the schedule: what is late is sent at once, so a slow moment does not slow the stream for good. */
function goOnPaced(answer: Answer): void {
  const { plan, startedMs } = answer
  const everyMs = (1000 * plan.burst) / plan.rate
  while (!answer.over && answer.sent < plan.tokens) {
    const waitMs = startedMs + (answer.sent / plan.burst) * everyMs - performance.now()
    if (waitMs > 0.5) return void setTimeout(goOnPaced, waitMs, answer)
    sendNext(answer)
  }
  finish(answer)
}

/** One write a turn of the loop, as long as the reader keeps up. As from a provider, the role, the text and the end come apart. */
function goOnDense(answer: Answer): void {
  if (answer.over) return
  if (answer.sent >= answer.plan.tokens) return finish(answer)
  if (answer.socket.writableNeedDrain) return void answer.socket.once('drain', () => goOnDense(answer))
  sendNext(answer)
  setImmediate(goOnDense, answer)
}

function finish(answer: Answer): void {
  setImmediate(() => {
    if (answer.over) return
    answer.over = true
    answer.socket.write(answer.end)
    answer.response.end()
  })
}

function begin(answer: Answer): void {
  if (answer.over) return
  answer.startedMs = performance.now()
  answer.socket.write(HEAD)
  if (answer.plan.rate > 0) goOnPaced(answer)
  else setImmediate(goOnDense, answer)
}

function complete(body: string, response: ServerResponse): void {
  const { messages, stream_options: options } = JSON.parse(body)
  const plan = planOf(String(messages.at(-1)?.content))
  const { socket } = response
  if (!socket) return
  const end = tail(plan.tokens, options?.include_usage === true)
  const answer: Answer = { plan, response, socket, end, startedMs: 0, sent: 0, over: false }
  response.once('close', () => {
    if (!answer.over) aborted.push({ id: plan.id, atMs: machineMs() })
    answer.over = true
  })
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' })
  response.flushHeaders()
  if (plan.delayMs > 0) setTimeout(begin, plan.delayMs, answer)
  else begin(answer)
}

const server = createServer((request: IncomingMessage, response: ServerResponse) => {
  if (request.method === 'GET') {
    response.end(JSON.stringify(aborted))
    aborted = []
    return
  }
  let body = ''
  request.setEncoding('utf8')
  request.on('data', (part: string) => {
    body += part
  })
  request.on('end', () => complete(body, response))
})
server.keepAliveTimeout = 600_000
server.listen(0, '127.0.0.1', 4096, () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
})
process.once('disconnect', () => process.exit())
