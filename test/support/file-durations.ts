import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, relative, resolve } from 'node:path'

/** By the path of a test file from the root of the project; in ms where it was measured on this machine. */
type Durations = Record<string, number>

const root = resolve(import.meta.dirname, '../..')
const kept = resolve(root, 'node_modules/.cache/parley/file-durations.json')

/** Where none has run yet, as in a clean clone: those that take longest, in seconds on two cores. */
export const known: Durations = {
  'test/contracts/queue-service-bus-faults.test.ts': 70,
  'test/features/lifecycle.test.ts': 60,
  'test/features/run-chaos.test.ts': 50,
  'test/features/told-to-stop.test.ts': 45,
  'test/contracts/sql-pglite.test.ts': 40,
  'test/features/no-content.test.ts': 35,
  'test/features/page.test.ts': 35,
  'test/features/shedding-process.test.ts': 30,
  'test/features/fuzz.test.ts': 25,
  'test/features/turn-takeover.test.ts': 25,
  'test/features/service-desk.test.ts': 22,
  'test/features/encryption-at-rest.test.ts': 20,
  'test/features/chaos.test.ts': 18,
}

/** From one of the longest to the next, so that there is work while they wait. */
const groupsBetween = 3

/**
 * Those that took longest last time come first, since whatever is begun last is waited for with the other cores idle. Among
 * them are those of no folder of ours, which stand for many others: they work, where the longest wait for most of their time.
 * Of those that never ran here, what goes through the whole app is likely to take longest.
 */
export function longestFirst(paths: readonly string[]): string[] {
  const durations = { ...inMs(known), ...read() }
  const isGroup = (path: string) => relative(root, path).startsWith('..')
  const expected = (path: string) => {
    const name = relative(root, path)
    return durations[name] ?? (name.startsWith('test/') ? 10_000 : 0)
  }
  const groups = paths.filter(isGroup)
  const files = paths.filter((path) => !isGroup(path)).toSorted((a, b) => expected(b) - expected(a))
  const mixed = files.flatMap((path, at) => [path, ...groups.slice(groupsBetween * at, groupsBetween * (at + 1))])
  return [...mixed, ...groups.slice(groupsBetween * files.length)]
}

export function keepDurations(measured: ReadonlyMap<string, number>): void {
  const ours = [...measured].map(([path, ms]) => [relative(root, path), Math.round(ms)] as const)
  const durations = { ...read(), ...Object.fromEntries(ours.filter(([path]) => !path.startsWith('..'))) }
  mkdirSync(dirname(kept), { recursive: true })
  const unfinished = `${kept}.${process.pid}`
  writeFileSync(unfinished, JSON.stringify(durations))
  renameSync(unfinished, kept)
}

function inMs(seconds: Durations): Durations {
  return Object.fromEntries(Object.entries(seconds).map(([name, each]) => [name, each * 1000]))
}

function read(): Durations {
  return existsSync(kept) ? JSON.parse(readFileSync(kept, 'utf8')) : {}
}
