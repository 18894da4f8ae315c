/** The load generator: a process of its own that runs one job after another for whoever started it. */
import { Agent } from 'node:http'
import { faultsOf, type Leaving } from './answer-check.ts'
import type { FromLoad, Job, LoadReport, ToLoad } from './jobs.ts'
import { spreadOf } from './statistics.ts'
import { asMessage, machineMs } from './steering.ts'
import { Stream } from './stream.ts'
import type { Aborted } from './upstream.ts'

/** After which what is still open counts as a fault. */
const PATIENCE_MS = 60_000
/** How long the upstream may take to hear that an answer is not wanted. */
const CANCEL_PATIENCE_MS = 3000
const LEAVING_MS = 200
const PREPARED_AT_ONCE = 16

/** A job from its preparation to its check. */
interface Run {
  job: Job
  /** Of the streams, each its own; none on `/v1`. */
  conversations: string[]
  streams: Stream[]
  /** When which request was given up. */
  cancelledMs: Map<string, number>
  seconds: number
  ownCpuMs: number
}

const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY, maxFreeSockets: 4096 })
const tell = (message: FromLoad) => process.send?.(message)
let current: Run | undefined
let runs = 0

process.on('message', (message: ToLoad) => {
  doAs(message).catch((error: Error) => tell({ is: 'failed', why: error.stack ?? error.message }))
})
process.once('disconnect', () => process.exit())

async function doAs(message: ToLoad): Promise<void> {
  if (message.do === 'prepare') {
    current = await prepare(message.job)
    return void tell({ is: 'prepared' })
  }
  if (!current) throw new Error('Nothing is prepared.')
  if (message.do === 'start') {
    await run(current)
    tell({ is: 'ended' })
  } else {
    tell({ is: 'checked', report: await check(current) })
    current = undefined
  }
}

async function prepare(job: Job): Promise<Run> {
  const conversations: string[] = []
  if (job.dialect === 'turns') {
    await atOnce(PREPARED_AT_ONCE, job.streams, async () => {
      const { id } = await call('POST', `${job.url}/api/v1/conversations`, { specialist: job.to })
      conversations.push(id)
    })
  }
  return { job, conversations, streams: [], cancelledMs: new Map(), seconds: Number.NaN, ownCpuMs: Number.NaN }
}

async function run(run: Run): Promise<void> {
  const { job, conversations, streams, cancelledMs } = run
  const name = `${process.pid}-${runs++}`
  const startedMs = performance.now()
  const cpu = process.cpuUsage()
  const patience = setTimeout(() => {
    for (const stream of streams) stream.leave()
  }, PATIENCE_MS)

  const answer = async (index: number, onBegin: () => void) => {
    const id = `${name}-${index}`
    const onTokens = (stream: Stream) => {
      if (stream.tokens < (job.cancelAfter ?? Number.POSITIVE_INFINITY) || cancelledMs.has(id)) return
      cancelledMs.set(id, machineMs())
      giveUp(job, stream)
    }
    const stream = new Stream({ ...requestOf(job, id, conversations[index]), agent, onTokens, onBegin })
    streams.push(stream)
    await stream.over
  }
  if (job.holdMs === undefined) await atOnce(job.atOnce, job.streams, (index) => answer(index, () => {}), job.rampMs)
  else await hold(job, job.holdMs, streams, answer)
  clearTimeout(patience)
  const { user, system } = process.cpuUsage(cpu)
  run.ownCpuMs = (user + system) / 1000
  run.seconds = (performance.now() - startedMs) / 1000
}

async function check(run: Run): Promise<LoadReport> {
  const { job, conversations } = run
  const report = reportOf(run)
  await addCancels(run, report)
  if (job.holdMs === undefined) {
    const base = `${job.url}/api/v1/conversations`
    await atOnce(PREPARED_AT_ONCE, conversations.length, () => call('DELETE', `${base}/${conversations.pop()}`))
  }
  agent.destroy()
  return report
}

/** Opens all, waits until each has begun, holds them, leaves. */
async function hold(
  job: Job,
  holdMs: number,
  streams: readonly Stream[],
  answer: (index: number, onBegin: () => void) => Promise<void>,
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  let begun = 0
  const onBegin = () => {
    if (++begun === job.streams) resolve()
  }
  const all = atOnce(job.streams, job.streams, (index) => answer(index, onBegin), job.rampMs)
  await Promise.race([promise, all])
  tell({ is: 'holding' })
  await new Promise((after) => setTimeout(after, holdMs))
  tell({ is: 'leaving' })
  // For whoever watches the target to look away before it has work again.
  await new Promise((after) => setTimeout(after, LEAVING_MS))
  for (const stream of streams) stream.leave()
  await all
}

/** Does a numbered task `total` times, so many at once; those begin spread over `rampMs`. */
async function atOnce(limit: number, total: number, task: (index: number) => Promise<void>, rampMs = 0): Promise<void> {
  let next = 0
  const worker = async (at: number) => {
    if (rampMs > 0) await new Promise((after) => setTimeout(after, (rampMs * at) / limit))
    while (next < total) await task(next++)
  }
  await Promise.all(Array.from({ length: Math.min(limit, total) }, (_, at) => worker(at)))
}

function requestOf({ dialect, url, plan, message, to }: Job, id: string, conversation: string | undefined) {
  const content = message ?? asMessage({ id, ...plan })
  const headers = { 'content-type': 'application/json', accept: 'text/event-stream', authorization: 'Bearer bench' }
  return dialect === 'turns'
    ? { url: `${url}/api/v1/conversations/${conversation}/turns`, headers, body: JSON.stringify({ message: content }) }
    : {
        url: `${url}/v1/chat/completions`,
        headers,
        body: JSON.stringify({ model: to, stream: true, messages: [{ role: 'user', content }] }),
      }
}

/** On `/v1` by leaving; a turn survives that, so there by its command. */
function giveUp({ dialect, url, cancelUrl = url }: Job, stream: Stream): void {
  if (dialect === 'completions') return stream.leave()
  const turn = stream.response?.headers['x-parley-turn']
  call('POST', `${cancelUrl}/api/v1/turns/${turn}/cancel`).catch((error: Error) => {
    stream.fault = error.message
  })
}

function reportOf({ job, streams, seconds, ownCpuMs }: Run): LoadReport {
  const { dialect, plan, cancelAfter, holdMs, message } = job
  const faults: Record<string, number> = {}
  let completed = 0
  for (const stream of streams) {
    const checked = message === undefined && stream.fault === undefined
    const found = checked ? faultsOf(dialect, stream.bytes, plan.tokens, leavingOf(dialect, cancelAfter, holdMs)) : {}
    if (stream.fault !== undefined) found[stream.fault] = 1
    else if (stream.parts.length === 0) found['never began'] = 1
    if (Object.keys(found).length === 0) completed++
    for (const [kind, count] of Object.entries(found)) faults[kind] = (faults[kind] ?? 0) + count
  }
  const measured = (of: (stream: Stream) => number) => spreadOf(streams.map(of).filter(Number.isFinite))
  return {
    seconds,
    completed,
    tokens: streams.reduce((sum, { tokens }) => sum + tokens, 0),
    faults,
    firstByteMs: measured(({ firstByteMs }) => firstByteMs),
    firstTokenMs: measured(({ firstTokenMs }) => firstTokenMs),
    gapMs: spreadOf(streams.flatMap(({ gapsMs }) => gapsMs)),
    tokensPerSecond: measured((stream) => {
      const { tokens, sentMs, firstTokenMs, lastTokenMs } = stream
      return ((tokens - 1) * 1000) / (lastTokenMs - sentMs - firstTokenMs)
    }),
    cancelMs: spreadOf([]),
    ownCpuMs,
  }
}

function leavingOf(dialect: Job['dialect'], cancelAfter?: number, holdMs?: number): Leaving {
  if (holdMs !== undefined) return 'left'
  if (cancelAfter === undefined) return 'ended'
  return dialect === 'turns' ? 'cancelled' : 'left'
}

async function addCancels({ job, cancelledMs }: Run, report: LoadReport): Promise<void> {
  if (cancelledMs.size === 0) return
  const tookMs: number[] = []
  const until = performance.now() + CANCEL_PATIENCE_MS
  while (tookMs.length < cancelledMs.size && performance.now() < until) {
    for (const { id, atMs } of (await call('GET', job.upstreamUrl)) as Aborted[]) {
      const sinceMs = cancelledMs.get(id)
      if (sinceMs !== undefined) tookMs.push(atMs - sinceMs)
    }
    await new Promise((after) => setTimeout(after, 20))
  }
  report.cancelMs = spreadOf(tookMs)
  if (tookMs.length < cancelledMs.size) report.faults['never cancelled'] = cancelledMs.size - tookMs.length
}

async function call(method: string, url: string, body?: unknown) {
  const response = await fetch(url, {
    method,
    ...(body !== undefined && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${method} ${response.status}`)
  return text === '' ? undefined : JSON.parse(text)
}
