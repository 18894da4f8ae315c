import { startHarness } from './harness.ts'
import { startParley, TO } from './parley.ts'
import type { BenchOptions, PartReport } from './parts.ts'
import { atMost, figure, gateTable, table } from './report.ts'
import { startSharedState } from './shared-state.ts'
import { spreadOf } from './statistics.ts'
import { asMessage, TOKEN_MARK } from './steering.ts'

const REPLICAS = 3
const LIMIT_MS = 1000
/** Until all streams of a round speak, and from one switch to the next. */
const SETTLE_MS = 1500

interface Stream {
  /** When its last token came, ms of this process. */
  lastToken: number
  /** The end says who stopped it. */
  killed: boolean
}

/** The drill: a kill-switch is set on one of three replicas, with answers under way on all; until the last token of each. */
export async function measureKill({ rounds, quick, cores, say }: BenchOptions): Promise<PartReport> {
  await using opened = new AsyncDisposableStack()
  const { upstreamUrl } = opened.use(await startHarness())
  const shared = opened.use(await startSharedState())
  const urls: string[] = []
  for (let n = 0; n < REPLICAS; n++) {
    urls.push(opened.use(await startParley({ upstreamUrl, core: cores?.target, shared })).url)
  }
  const perReplica = quick ? 10 : 50
  const [first = ''] = urls
  const silentAfter: number[] = []
  let astray = 0
  for (let round = 0; round < Math.max(2, rounds); round++) {
    const streams = urls.flatMap((url) => Array.from({ length: perReplica }, (_, n) => follow(url, n % 2 === 0)))
    await new Promise((after) => setTimeout(after, SETTLE_MS))
    const killedAt = performance.now()
    const scope = `${first}/api/v1/kill-switches/model:mock`
    await fetch(scope, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ reason: 'a drill' }),
    })
    const ended = await Promise.all(streams)
    silentAfter.push(...ended.map(({ lastToken }) => Math.max(0, lastToken - killedAt)))
    astray += ended.filter(({ killed }) => !killed).length
    await fetch(scope, { method: 'DELETE' })
    await new Promise((after) => setTimeout(after, SETTLE_MS))
    say(`kill: ${figure(Math.max(...silentAfter))} ms to the last token`)
  }
  const { count, p50, p99, max } = spreadOf(silentAfter)
  const gates = [
    atMost('kill-switch to last token, p99', 'parley', p99, LIMIT_MS, ' ms'),
    atMost('streams that ended otherwise', 'parley', astray, 0, ''),
  ]
  const text = table(
    ['streams', 'p50 ms', 'p99 ms', 'longest ms'],
    [[String(count), figure(p50), figure(p99), figure(max)]],
  )
  return { text: `${text}\n\n${gateTable(gates)}`, gates, data: { count, p50, p99, max } }
}

/** Half of them are completions, half are turns. */
async function follow(url: string, isTurn: boolean): Promise<Stream> {
  const plan = asMessage({ id: 'kill', tokens: 100_000, rate: 50, burst: 1, delayMs: 0 })
  const headers = { 'content-type': 'application/json', accept: 'text/event-stream' }
  const post = (path: string, body: object) =>
    fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) })
  const answer = isTurn
    ? await fetch(`${url}/api/v1/specialists/${TO.turns.mock}/stream?message=${encodeURIComponent(plan)}`, { headers })
    : await post('/v1/chat/completions', {
        model: TO.completions.mock,
        stream: true,
        messages: [{ role: 'user', content: plan }],
      })
  let lastToken = 0
  let tail = ''
  for await (const chunk of answer.body ?? []) {
    const text = Buffer.from(chunk).toString()
    if (text.includes(TOKEN_MARK)) lastToken = performance.now()
    tail = (tail + text).slice(-2000)
  }
  return { lastToken, killed: tail.includes('"killed"') }
}
