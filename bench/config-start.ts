import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { stringify } from 'yaml'
import type { Opening } from './open-versions.ts'
import type { BenchOptions, PartReport } from './parts.ts'
import { atMost, figure, gateTable, table } from './report.ts'

const many = 400
/** As many of them as a replica knows. */
const mostKnown = 200
const bytes = 100_000
const specialists = 40

/** What a start costs among 400 versions of 100 KB, with nothing on the replica's disk and with what the first start has left there. */
export async function measureConfigStart({ quick }: BenchOptions): Promise<PartReport> {
  const count = quick ? many / 4 : many
  const folder = await mkdtemp(path.join(tmpdir(), 'parley-starts-'))
  try {
    for (let at = 1; at <= count; at++) {
      await writeFile(path.join(folder, `v${String(at).padStart(4, '0')}.yaml`), versionText(at))
    }
    const known = Math.min(count, mostKnown)
    return reportOf(count, await open(folder, known), await open(folder, known))
  } finally {
    await rm(folder, { recursive: true })
  }
}

function reportOf(count: number, first: Opening, second: Opening): PartReport {
  const gates = [
    atMost('processor time of a start with nothing on its disk', 'Parley', first.cpuMs, 5000, ' ms'),
    atMost('processor time of a start from its disk', 'Parley', second.cpuMs, 1000, ' ms'),
    atMost('memory of a start from its disk', 'Parley', second.rssMiB, 60, ' MiB'),
  ]
  const row = (name: string, { readyMs, cpuMs, known, allMs, rssMiB }: Opening) => [
    name,
    ...[readyMs, cpuMs, known, allMs / 1000, rssMiB].map(figure),
  ]
  const text = [
    `${count} versions of ${bytes / 1000} KB, each with ${specialists} specialists and actions. A start waits for the newest; the others become known beside what is served. Memory is what all of it takes, the thread that checks included.`,
    table(
      ['versions opened', 'ms until it goes on', 'processor ms until then', 'known then', 's until all are', 'MiB'],
      [row('nothing on its disk', first), row('from its disk', second)],
    ),
    'For comparison, each checked before a start goes on and all kept in memory (commit adaa92d, this machine, busy): 16,257 and 19,752 ms of processor, +142 and +119 MiB.',
    gateTable(gates),
  ].join('\n\n')
  return { text, gates, data: { count, bytes, first, second } }
}

async function open(folder: string, known: number): Promise<Opening> {
  const env = { ...process.env, PARLEY_CONFIG_DIR: folder, PARLEY_DATA_DIR: path.join(folder, 'data') }
  const child = fork(new URL('./open-versions.ts', import.meta.url), [String(known)], { env })
  const [said]: (Opening | number)[] = await Promise.race([once(child, 'message'), once(child, 'exit')])
  if (typeof said !== 'object') throw new Error('Opening versions failed.')
  return said
}

function versionText(at: number): string {
  const names = Array.from({ length: specialists }, (_, n) => n)
  const sentence = 'You help the operations team with what they ask, and say so when you do not know.\n'
  const field = { type: 'string', maxLength: 200, description: 'A field' }
  const properties = Object.fromEntries(Array.from({ length: 8 }, (_, n) => [`p${n}`, field]))
  const parameters = { type: 'object', required: ['p0'], additionalProperties: false, properties }
  const textOf = (sentences: number) =>
    stringify(
      {
        description: `Version ${at}`,
        models: {
          main: {
            provider: 'offline',
            contextWindow: 200_000,
            continuation: 'restart',
            price: { input: 0, output: 0 },
          },
        },
        routes: { default: { models: ['main'] } },
        specialists: Object.fromEntries(
          names.map((n) => {
            const instructions = sentence.repeat(sentences)
            return [`s${n}`, { title: 'T', instructions, route: 'default', actions: [`a${n}`] }]
          }),
        ),
        actions: Object.fromEntries(
          names.map((n) => [`a${n}`, { description: 'Does', builtin: 'calculate', parameters }]),
        ),
      },
      { aliasDuplicateObjects: false, indent: 1 },
    )
  const least = textOf(1).length
  return textOf(1 + Math.floor((bytes - least) / (textOf(2).length - least)))
}
