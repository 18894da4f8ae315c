/**
 * `npm run bench` runs all parts; `npm run bench -- chat --rounds 3 --modes paced,dense` one of them, shorter.
 * See docs/benchmarks.md.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { measureActions } from './actions.ts'
import { measureAdmission } from './admission.ts'
import { measureAssignment } from './assignment.ts'
import { measureCancel } from './cancel.ts'
import { compareChat } from './compare.ts'
import { measureConfigLoad } from './config-load.ts'
import { measureConfigStart } from './config-start.ts'
import { measureConversations } from './conversations.ts'
import { measureKill } from './kill.ts'
import { describeMachine, findCores, pin } from './machine.ts'
import type { BenchOptions, PartReport } from './parts.ts'
import { measureRollback } from './rollback.ts'
import { measureShadow } from './shadow.ts'
import { measureState } from './state.ts'
import { holdStreams } from './streams.ts'
import { measureToken } from './token.ts'
import { measureWebSocket } from './websocket.ts'

const PARTS: Record<string, (options: BenchOptions) => Promise<PartReport>> = {
  chat: compareChat,
  cancel: measureCancel,
  actions: measureActions,
  admission: measureAdmission,
  assignment: measureAssignment,
  config: measureConfigLoad,
  'config-start': measureConfigStart,
  conversations: measureConversations,
  kill: measureKill,
  shadow: measureShadow,
  state: measureState,
  token: measureToken,
  rollback: measureRollback,
  websocket: measureWebSocket,
  streams: holdStreams,
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    quick: { type: 'boolean', default: false },
    targets: { type: 'string', default: '' },
    modes: { type: 'string', default: '' },
    profile: { type: 'string' },
    record: { type: 'boolean', default: false },
  },
})
const unknown = positionals.filter((name) => !(name in PARTS))
if (unknown.length > 0 || process.platform !== 'linux') {
  console.error(
    unknown.length > 0 ? `Parts: ${Object.keys(PARTS).join(', ')}` : 'The bench reads /proc: it needs Linux.',
  )
  process.exit(1)
}

const list = (text: string) => text.split(',').filter(Boolean)
const cores = findCores()
if (cores) pin(process.pid, cores.harness)
else console.error('Fewer than two cores, or no taskset: target and harness share what there is.')
const options: BenchOptions = {
  rounds: Number(values.rounds),
  quick: values.quick,
  targets: list(values.targets),
  modes: list(values.modes),
  profiles: values.profile,
  cores,
  say: (line) => process.stderr.write(`${line}\n`),
}

const about = { date: new Date().toISOString().slice(0, 10), ...describeMachine() }
const facts = Object.entries(about).map(([name, value]) => `${name}: ${value}`)
for (const part of positionals.length > 0 ? positionals : Object.keys(PARTS)) {
  const report = await PARTS[part]?.(options)
  if (!report) continue
  const text = `## ${part}\n\n${facts.join(' · ')}\n\n${report.text}\n`
  console.log(`\n${text}`)
  if (report.gates.some(({ passed }) => !passed)) process.exitCode = 1
  if (!values.record) continue
  const folder = new URL('./results/', import.meta.url)
  mkdirSync(folder, { recursive: true })
  writeFileSync(new URL(`${part}.md`, folder), text)
  writeFileSync(
    new URL(`${part}.json`, folder),
    `${JSON.stringify({ ...about, ...(report.data as object) }, null, 1)}\n`,
  )
}
