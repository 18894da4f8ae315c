/**
 * `npm run demo:rollout`: three replicas on one machine, people who talk to them, and two uploads: a good version that is promoted,
 * and a bad one that takes itself back. It starts all that it needs on free ports, ends by itself after some two minutes and leaves
 * nothing behind; `-- --keep` goes on until Ctrl-C, for the browser and for uploads of one's own.
 */
import { once } from 'node:events'
import { setTimeout as pass } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type { RolloutView } from '#config/rollouts.ts'
import { Crowd, say } from './fleet/crowd.ts'
import { type Fleet, startFleet } from './fleet/fleet.ts'
import { Following } from './fleet/following.ts'
import { type VersionChange, versionText } from './fleet/versions.ts'
import { figure } from './report.ts'

const PER_SECOND = 20
const PATIENCE_MS = 300_000
const REMINDED_EVERY_MS = 10_000
const WATCHED_MS = 10_000
/** Beside each what is the default where there is a blob store. */
const SHORTENED = [
  ['PARLEY_ROLLOUT_FLOORS', '5:50,50:100', 'two steps instead of three (5:50,25:100,50:200)'],
  ['PARLEY_ROLLOUT_TRIALS', 'conversation', 'one person tries it alone; else one trial for each principal'],
  ['PARLEY_ROLLOUT_CLOSES_MS', '1000', 'a trial waits 1 s for what comes late, instead of 15 minutes'],
  ['PARLEY_ROLLOUT_BAKE_MS', '10000', 'watched for 10 s after the last step, instead of 15 minutes'],
] as const
const good: VersionChange = { description: 'A friendlier Apollo', model: 'gpt-steady', apolloIs: 'a friendly analyst' }
const bad: VersionChange = { description: 'A newer model, its name mistyped', model: 'gpt-staedy' }

const { values } = parseArgs({ options: { keep: { type: 'boolean', default: false } } })
const beganAt = performance.now()
const stopping = new AbortController()
// At a terminal npm hands on what this process has been told as well.
process.on('SIGINT', () => stopping.abort())
process.on('SIGTERM', () => stopping.abort())
const isStopped = once(stopping.signal, 'abort').then(() => 'stopped' as const)

function tell(line: string): void {
  const seconds = Math.round((performance.now() - beganAt) / 1000)
  console.log(`${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}  ${line}`)
}

console.log(
  'Three replicas, each with all roles, and what they share, on free ports of this machine. Shortened, so that it can be watched:',
)
for (const [name, value, meaning] of SHORTENED) console.log(`  ${`${name}=${value}`.padEnd(41)} ${meaning}`)
console.log('The model provider is made up, too: it has one model, which answers.\n')
try {
  await show()
} catch (error) {
  // Ctrl-C ends what it has started as well.
  if (!stopping.signal.aborted) throw error
}

async function show(): Promise<void> {
  await using fleet = await startFleet({
    replicas: 3,
    first: { name: 'v001', text: versionText({ description: 'The first', model: 'gpt-steady' }) },
    variables: Object.fromEntries(SHORTENED.map(([name, value]) => [name, value])),
    say: (line) => tell(`starting ${line}`),
  })
  await using crowd = new Crowd(() => fleet.replicas.map(({ url }) => url), PER_SECOND)
  await using followings = new AsyncDisposableStack()
  const [first, ...others] = fleet.replicas
  if (!first) throw new Error('a fleet without replicas')
  const followed = [
    followings.use(new Following(first.url, tellChanges())),
    ...others.map(({ url }) => followings.use(new Following(url))),
  ]
  tell(`v001 serves everyone at ${fleet.replicas.map(({ url }) => url).join(', ')}`)
  tell(`${PER_SECOND} conversations begin each second, of one turn each`)
  const story = async () => {
    await promote(fleet, followed, crowd)
    await takeBack(fleet, followed, crowd)
    return 'told' as const
  }
  const outcome = await Promise.race([story(), isStopped])
  if (outcome === 'told') console.log('\nNobody did anything but upload two files.')
  if (outcome === 'told' && values.keep) {
    invite(fleet)
    await isStopped
  }
  tell('stopping')
}

async function promote(fleet: Fleet, followed: readonly Following[], crowd: Crowd): Promise<void> {
  await upload(fleet, 'v002', good)
  const from = crowd.talks.length
  await onAll(followed, ({ stable }) => stable.version === 'v002')
  const { served, failed } = count(crowd, from, 'v002')
  tell(
    `v002 is what everyone gets, on every replica; ${served} conversations had it before that, ${failed} turns failed`,
  )
}

async function takeBack(fleet: Fleet, followed: readonly Following[], crowd: Crowd): Promise<void> {
  await upload(fleet, 'v003', bad)
  const from = crowd.talks.length
  const backAt = await onAll(followed, ({ finished }) => finished[0]?.candidate.version === 'v003')
  const own = crowd.talks.slice(from).filter(({ version }) => version === 'v003')
  const third = own.map(({ endedAt }) => endedAt).sort((a, b) => a - b)[2] ?? Number.NaN
  tell(
    `every replica serves v002 again, ${figure((backAt - third) / 1000)} s after the third failure; ${own.length} conversations had v003`,
  )
  await pass(WATCHED_MS)
  const after = crowd.talks.filter(({ begunAt }) => begunAt > backAt)
  const { served, failed } = count(crowd, crowd.talks.length - after.length, 'v003')
  tell(`of ${after.length} conversations since, ${served || 'none'} got v003, and ${failed || 'none'} failed`)
  const again = await Promise.all(
    own.map(({ id }, at) => say(fleet.replicas[at % fleet.replicas.length]?.url ?? '', id, 'Once more?')),
  )
  const answered = again.filter(({ ok, version }) => ok && version === 'v002').length
  tell(`the ${own.length} who had v003 asked once more: ${answered} answers, by v002`)
}

async function upload(fleet: Fleet, name: string, change: VersionChange): Promise<void> {
  await fleet.upload(name, versionText(change))
  tell(`${name} is uploaded, as a blob: "${change.description}"`)
}

function onAll(followed: readonly Following[], holds: (view: RolloutView) => boolean): Promise<number> {
  return Promise.all(followed.map((following) => following.until(holds, PATIENCE_MS))).then((times) =>
    Math.max(...times),
  )
}

function count({ talks }: Crowd, from: number, version: string) {
  const since = talks.slice(from)
  return {
    served: since.filter((talk) => talk.version === version).length,
    failed: since.filter(({ outcome }) => outcome !== 'answered').length,
  }
}

/** A line for each change of state, and now and then the verdict. */
function tellChanges(): (view: RolloutView) => void {
  let place = ''
  let toldAt = performance.now()
  let last: string | undefined
  return ({ live, finished, stable, verdict, waiting }) => {
    const [ended] = finished
    const waits = waiting.map(({ version, reason }) => `${version} waits: ${reason}`).join(' ')
    const step = live?.steps[live.step]
    const now = live
      ? `${live.candidate.version} ${live.status} ${live.step}`
      : `${stable.version} ${ended?.id ?? ''} ${waits}`
    const isChange = now !== place && place !== ''
    place = now
    if (isChange && live) {
      const what = {
        canary: `gets ${step?.weight} % of new conversations`,
        baking: `has passed its steps, and is watched for ${live.bakeMs / 1000} s`,
        paused: `is paused: ${live.paused?.reason}`,
      }
      tell(`${live.candidate.version} ${what[live.status]}`)
    } else if (isChange && ended && ended.id !== last) {
      tell(`${ended.candidate.version} is ${ended.outcome === 'stable' ? 'stable' : 'rolled back'}. ${ended.reason}`)
    } else if (isChange && waits) tell(waits)
    else if (!live || performance.now() - toldAt < REMINDED_EVERY_MS) return
    else tell(`   ${verdict.sentence}`)
    last = ended?.id
    toldAt = performance.now()
  }
}

function invite(fleet: Fleet): void {
  const [first] = fleet.replicas
  console.log(`
It goes on until Ctrl-C, and tells what happens. The chat is at ${first?.url}/, the verdict at PARLEY_URL=${first?.url} npx parley config status
A version of your own (the number has to rise with each):
  curl -s '${fleet.addressOf('v002')}' > /tmp/v004.yaml
  curl -T /tmp/v004.yaml -H 'x-ms-blob-type: BlockBlob' '${fleet.addressOf('v004')}'
`)
}
