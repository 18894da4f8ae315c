import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import type { FuzzPart } from '../test/support/fuzz/fuzz.ts'
import { table } from './report.ts'

/** What one run of the fuzzer has found. */
export interface FuzzRun {
  date: string
  machine: Record<string, string>
  part: FuzzPart
  engines: 'embedded' | 'shared'
  seed: number
  requests: number
  seconds: number
  /** By what was asked, over HTTP an operation, and how it was answered, mostly a status. */
  answers: Record<string, Record<string, number>>
  faults: readonly { what: string; times: number; first: string }[]
}

type Counts = Map<string, Map<string, number>>

const figuresAt = new URL('results/fuzz.json', import.meta.url)
const pageAt = new URL('results/fuzz.md', import.meta.url)
/** What stands below is written by people, and stays. */
const BY_HAND = '## What it can find'

/** Keeps the run beside the others of the day. */
export function recordRun(run: FuzzRun): void {
  const earlier = existsSync(figuresAt) ? (JSON.parse(readFileSync(figuresAt, 'utf8')) as FuzzRun[]) : []
  const runs = [...earlier.filter((each) => each.date === run.date && nameOf(each) !== nameOf(run)), run]
  writeFileSync(figuresAt, `${JSON.stringify(runs, null, 1)}\n`)
  const page = existsSync(pageAt) ? readFileSync(pageAt, 'utf8') : ''
  const at = page.indexOf(BY_HAND)
  writeFileSync(pageAt, `${report(runs)}\n${at === -1 ? '' : page.slice(at)}`)
}

export function report(runs: readonly FuzzRun[]): string {
  const isHttp = ({ part }: FuzzRun) => part === 'http'
  const faults = runs.flatMap((run) => run.faults.map((fault) => ({ ...fault, of: `${run.part}, ${run.engines}` })))
  return [
    '# API fuzzing',
    runs
      .toSorted((one, other) => (nameOf(one) < nameOf(other) ? -1 : 1))
      .map(headOf)
      .join('\n'),
    faults.length === 0 ? 'No faults.' : `${faults.length} kinds of faults:`,
    ...faults.map(({ what, times, first, of }) => `- ${of}: ${times} × ${what}\n\n      ${oneLine(first)}`),
    ...overHttp(sums(runs.filter(isHttp))),
    ...besides(sums(runs.filter((run) => !isHttp(run)))),
    '',
  ].join('\n\n')
}

function overHttp(counts: Counts): string[] {
  if (counts.size === 0) return []
  const statuses = [...new Set(counts.values().flatMap((each) => each.keys()))].toSorted()
  const total = (status: string) => counts.values().reduce((sum, each) => sum + (each.get(status) ?? 0), 0)
  const never = [...counts].filter(([, each]) => share(each, '2') + share(each, '3') === 0).map(([id]) => id)
  return [
    table(
      ['status', 'answers'],
      statuses.map((status) => [status, `${total(status)}`]),
    ),
    never.length === 0
      ? `Each of ${counts.size} operations was carried out at least once.`
      : `Of ${counts.size} operations these were never carried out: ${never.join(', ')}.`,
    table(
      ['operation', ...['2xx', '3xx', '4xx', '5xx']],
      [...counts].map(([id, each]) => [id, ...['2', '3', '4', '5'].map((hundred) => `${share(each, hundred)}`)]),
    ),
  ]
}

/** What goes on beside the operations of the document. */
function besides(counts: Counts): string[] {
  if (counts.size === 0) return []
  const answers = (each: Map<string, number>) =>
    [...each]
      .toSorted(([one], [other]) => (one < other ? -1 : 1))
      .map(([answer, times]) => `${answer}: ${times}`)
      .join(' · ')
  return [
    table(
      ['asked', 'answered'],
      [...counts].map(([what, each]) => [what, answers(each)]),
    ),
  ]
}

function nameOf({ part, engines, seed }: FuzzRun): string {
  return `${part} ${engines} ${seed}`
}

function headOf({ date, machine, part, engines, seed, requests, seconds }: FuzzRun): string {
  const facts = Object.entries({ date, ...machine }).map(([name, value]) => `${name}: ${value}`)
  return `- \`npm run fuzz -- --part ${part} --engines ${engines} --seed ${seed} --requests ${requests}\`: ${requests} requests in ${seconds} s (${facts.join(' · ')})`
}

function sums(runs: readonly FuzzRun[]): Counts {
  const found = new Map<string, Map<string, number>>()
  for (const { answers } of runs) {
    for (const [id, counts] of Object.entries(answers)) {
      const sum = found.getOrInsertComputed(id, () => new Map())
      for (const [status, times] of Object.entries(counts)) sum.set(status, (sum.get(status) ?? 0) + times)
    }
  }
  return new Map([...found].toSorted(([one], [other]) => (one < other ? -1 : 1)))
}

function share(counts: Map<string, number>, hundred: string): number {
  return counts.entries().reduce((sum, [status, times]) => sum + (status.startsWith(hundred) ? times : 0), 0)
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').slice(0, 1500)
}
