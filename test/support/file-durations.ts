import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, relative, resolve } from 'node:path'

/** In ms, by the path of a test file from the root of the project, as measured on this machine. */
type Durations = Record<string, number>

const root = resolve(import.meta.dirname, '../..')
const kept = resolve(root, 'node_modules/.cache/parley/file-durations.json')

/**
 * Those that took longest last time come first, since whatever is begun last is waited for with the other cores idle. Before
 * them come those of no folder of ours, which stand for many others. Of those that never ran here, what goes through the whole
 * app is likely to take longest.
 */
export function longestFirst(paths: readonly string[]): string[] {
  const durations = read()
  const expected = (path: string) => {
    const name = relative(root, path)
    if (name.startsWith('..')) return Number.MAX_VALUE
    return durations[name] ?? (name.startsWith('test/') ? 10_000 : 0)
  }
  return paths.toSorted((a, b) => expected(b) - expected(a))
}

export function keepDurations(measured: ReadonlyMap<string, number>): void {
  const ours = [...measured].map(([path, ms]) => [relative(root, path), Math.round(ms)] as const)
  const durations = { ...read(), ...Object.fromEntries(ours.filter(([path]) => !path.startsWith('..'))) }
  mkdirSync(dirname(kept), { recursive: true })
  const unfinished = `${kept}.${process.pid}`
  writeFileSync(unfinished, JSON.stringify(durations))
  renameSync(unfinished, kept)
}

function read(): Durations {
  return existsSync(kept) ? JSON.parse(readFileSync(kept, 'utf8')) : {}
}
