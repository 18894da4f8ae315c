import { once } from 'node:events'
import { WebSocket } from 'ws'
import { startServer } from './children.ts'
import { startParley, TO } from './parley.ts'
import type { BenchOptions, PartReport } from './parts.ts'
import { atMost, figure, gateTable, table } from './report.ts'
import { spreadOf } from './statistics.ts'
import { asMessage } from './steering.ts'

const CONNECTIONS = 500
const AT_ONCE = 10
const PINGS_EACH = 8

/** What a WebSocket costs in time: to connect, to call and be answered (ping), and to see a turn begin. */
export async function measureWebSocket({ cores, quick, say }: BenchOptions): Promise<PartReport> {
  await using opened = new AsyncDisposableStack()
  const upstream = opened.use(await startServer([import.meta.resolve('./upstream.ts')]))
  const parley = opened.use(await startParley({ upstreamUrl: upstream.url, core: cores?.target }))
  const address = `${parley.url.replace('http', 'ws')}/ws/v1/specialists/${TO.turns.mock}`
  const total = quick ? CONNECTIONS / 5 : CONNECTIONS
  // The first time warms up.
  await timesOf(address, total)
  say(`websocket: ${total} connections`)
  const rows = Object.entries(await timesOf(address, total)).map(([step, tookMs]) => ({ step, ...spreadOf(tookMs) }))
  const text = table(
    ['step', 'p50 ms', 'p95 ms', 'p99 ms'],
    rows.map(({ step, p50, p95, p99 }) => [step, ...[p50, p95, p99].map(figure)]),
  )
  const limits: Record<string, number> = { connect: 20, 'call and answer': 5 }
  const gates = rows.flatMap(({ step, p95 }) => {
    const limit = limits[step]
    return limit === undefined ? [] : [atMost(`${step} p95`, 'parley WebSocket', p95, limit, ' ms')]
  })
  return { text: `${text}\n\n${gateTable(gates)}`, gates, data: { rows } }
}

/** Ms each step took, ten connections at once, all of them open until the end. */
async function timesOf(address: string, total: number): Promise<Record<string, number[]>> {
  const times = { connect: [] as number[], 'call and answer': [] as number[], 'chat to first token': [] as number[] }
  const sockets: WebSocket[] = []
  const plan = asMessage({ id: '', tokens: 4, rate: 0, burst: 1, delayMs: 0 })
  const one = async () => {
    const time = async (into: number[], task: () => Promise<unknown>) => {
      const before = performance.now()
      await task()
      into.push(performance.now() - before)
    }
    const socket = new WebSocket(address)
    sockets.push(socket)
    await time(times.connect, () => once(socket, 'open'))
    for (let ping = 0; ping < PINGS_EACH; ping++) {
      await time(times['call and answer'], () => answered(socket, 'ping', {}, '"result"'))
    }
    await time(times['chat to first token'], () => answered(socket, 'chat', { message: plan }, '"event":"token"'))
  }
  for (let done = 0; done < total; done += AT_ONCE) await Promise.all(Array.from({ length: AT_ONCE }, one))
  for (const socket of sockets) socket.terminate()
  return times
}

/** Sends a call and waits for the first message with these words. */
function answered(socket: WebSocket, method: string, params: object, words: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const onMessage = (data: Buffer) => {
    const text = data.toString()
    if (text.includes('"error"')) reject(new Error(text))
    if (!text.includes(words)) return
    socket.off('message', onMessage)
    resolve()
  }
  socket.on('message', onMessage)
  socket.send(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }))
  return promise
}
