import { loadavg } from 'node:os'
import { setTimeout as pass } from 'node:timers/promises'
import { Crowd, type Talk } from './fleet/crowd.ts'
import { type Fleet, startFleet } from './fleet/fleet.ts'
import { Following } from './fleet/following.ts'
import { versionText } from './fleet/versions.ts'
import { pin } from './machine.ts'
import type { BenchOptions, PartReport } from './parts.ts'
import { atMost, figure, gateTable, table } from './report.ts'
import { median } from './statistics.ts'

interface Case {
  what: string
  model: string
  killsLeader?: true
}

interface Round {
  /** From the upload until every replica serves it, s. */
  begunSeconds: number
  assigned: number
  failed: number
  /** From the first conversation that got it until every replica serves stable again, s. */
  servedSeconds: number
  /** From the third failure, with which the evidence is in, until every replica serves stable again, s. */
  backSeconds: number
  assignedAfter: number
  failedOfStable: number
}

const CASES: readonly Case[] = [
  { what: 'the provider answers 500', model: 'gpt-broken' },
  { what: 'the provider answers 400', model: 'gpt-choosy' },
  { what: 'there is no such model', model: 'gpt-staedy' },
  { what: 'the provider answers 500, the leader is killed (SIGKILL)', model: 'gpt-broken', killsLeader: true },
]
const REPLICAS = 3
const PER_SECOND = 20
const WEIGHT = 5
/** As many that fail, of as many, are enough at 5 %. */
const EVIDENCE = 3
const WATCHED_MS = 8000
const PATIENCE_MS = 120_000
const LIMIT_SECONDS = 10

/**
 * A version of which every turn fails gets 5 % of the conversations of three replicas under load: how long until every replica
 * serves stable again, and whether anybody is assigned to it after that. Nobody does anything but upload it.
 */
export async function measureRollback({ rounds, quick, cores, say }: BenchOptions): Promise<PartReport> {
  const loads = loadavg().slice(0, 1)
  const first = { name: 'v001', text: versionText({ description: 'the first', model: 'gpt-steady' }) }
  const variables = { PARLEY_ROLLOUT_FLOORS: `${WEIGHT}:50` }
  await using fleet = await startFleet({ replicas: REPLICAS, first, variables })
  await using crowd = new Crowd(() => fleet.replicas.map(({ url }) => url), PER_SECOND)
  let versions = 1
  const measured: { one: Case; rounds: Round[] }[] = []
  for (const one of CASES) {
    const of: Round[] = []
    for (let n = 0; n < (quick ? 1 : rounds); n++) {
      versions += 1
      while (fleet.replicas.length < REPLICAS) await fleet.add()
      if (cores) for (const { process } of fleet.replicas) pin(process.pid ?? 0, cores.target)
      const round = await measure(one, `v${String(versions).padStart(3, '0')}`, fleet, crowd)
      say(`${one.what}: ${round.failed} failed, back ${figure(round.backSeconds)} s after the evidence`)
      of.push(round)
      loads.push(...loadavg().slice(0, 1))
    }
    measured.push({ one, rounds: of })
  }
  const all = measured.flatMap((each) => each.rounds)
  const most = (pick: (round: Round) => number) => Math.max(...all.map(pick))
  const gates = [
    atMost(
      'from the evidence until every replica serves stable, at most',
      'three replicas',
      most(({ backSeconds }) => backSeconds),
      LIMIT_SECONDS,
      ' s',
    ),
    atMost(
      'conversations assigned to it after that',
      'three replicas',
      most(({ assignedAfter }) => assignedAfter),
      0,
      '',
    ),
  ]
  const head = [
    'every turn fails, because',
    'rounds',
    'upload → on its way, s',
    'conversations that got it',
    'turns failed',
    'first of them → stable everywhere, s',
    'evidence → stable everywhere, s: median',
    'longest',
    'assigned after that',
    'turns of stable that failed',
  ]
  const rows = measured.map(({ one, rounds: of }) => [
    one.what,
    String(of.length),
    figure(median(of.map(({ begunSeconds }) => begunSeconds))),
    ...[median(of.map(({ assigned }) => assigned)), median(of.map(({ failed }) => failed))].map(String),
    figure(median(of.map(({ servedSeconds }) => servedSeconds))),
    figure(median(of.map(({ backSeconds }) => backSeconds))),
    figure(Math.max(...of.map(({ backSeconds }) => backSeconds))),
    String(Math.max(...of.map(({ assignedAfter }) => assignedAfter))),
    String(of.reduce((sum, { failedOfStable }) => sum + failedOfStable, 0)),
  ])
  const text = [
    `Three replicas on Redis, PostgreSQL, Azurite and the broker of the tests; ${PER_SECOND} conversations a second, ${WEIGHT} % of them to the version that is uploaded. ` +
      `The evidence is in with the third failed answer. The load of the machine was ${figure(loads[0] ?? Number.NaN)} before it began and ${figure(Math.max(...loads))} at the highest.`,
    table(head, rows),
    gateTable(gates),
  ].join('\n\n')
  return { text, gates, data: { loads, measured } }
}

async function measure(one: Case, name: string, fleet: Fleet, crowd: Crowd): Promise<Round> {
  await using followings = new AsyncDisposableStack()
  const each = fleet.replicas.map((replica) => ({ replica, following: followings.use(new Following(replica.url)) }))
  const from = crowd.talks.length
  const uploadedAt = performance.now()
  await fleet.upload(name, versionText({ description: one.what, model: one.model }))
  const begunAt = await all(each, ({ following }) =>
    following.until(
      ({ live, finished }) => [live, finished[0]].some((of) => of?.candidate.version === name),
      PATIENCE_MS,
    ),
  )
  const leader = one.killsLeader && each.find(({ following }) => following.view?.leader)
  if (leader) await fleet.kill(leader.replica)
  const alive = each.filter((replica) => replica !== leader)
  const backAt = await all(alive, ({ following }) =>
    following.until(({ live, finished }) => !live && finished[0]?.candidate.version === name, PATIENCE_MS),
  )
  await pass(WATCHED_MS)
  const talks = crowd.talks.slice(from)
  const own = talks.filter(({ version }) => version === name)
  const failed = own.filter(({ outcome }) => outcome === 'failed').sort((a, b) => a.endedAt - b.endedAt)
  const evidenceAt = failed[EVIDENCE - 1]?.endedAt ?? Number.NaN
  return {
    begunSeconds: (begunAt - uploadedAt) / 1000,
    assigned: own.length,
    failed: failed.length,
    servedSeconds: (backAt - Math.min(...own.map((talk) => talk.begunAt))) / 1000,
    backSeconds: (backAt - evidenceAt) / 1000,
    assignedAfter: own.filter((talk) => talk.begunAt > backAt).length,
    failedOfStable: talks.filter((talk: Talk) => talk.version !== name && talk.outcome === 'failed').length,
  }
}

/** When the last of them had come to it. */
async function all<Of>(list: readonly Of[], when: (one: Of) => Promise<number>): Promise<number> {
  return Math.max(...(await Promise.all(list.map(when))))
}
