/**
 * Runs every test file, or those whose path contains one of the arguments. Beside a failed test, these fail the run: a
 * leaked handle, an unhandled rejection, a test without an assertion, `only`, a skip without a reason, an empty file,
 * nothing to run at all.
 */
import { globSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { relative, resolve } from 'node:path'
import { finished } from 'node:stream/promises'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { ensureChromium } from './support/ensure-chromium.ts'
import { ensurePostgres } from './support/ensure-postgres.ts'
import { ensureRedis } from './support/ensure-redis.ts'
import { keepDurations, longestFirst } from './support/file-durations.ts'
import { isLight, together } from './support/light-files.ts'
import { ensurePgliteTemplates } from './support/pglite-template.ts'
import { sharePostgres } from './support/postgres.ts'

const testTimeoutMs = 120_000
const runTimeoutMs = 15 * 60_000
/** From so many on it pays to start what several of them use. */
const manyFiles = 20
/** From so many on, files that only call functions share processes. */
const manyLightFiles = 10
const lightGroups = 8

// Some hundred processes strip and compile the same sources.
process.env.NODE_COMPILE_CACHE ??= resolve('node_modules/.cache/parley/compiled')

const files = findTestFiles(process.argv.slice(2))
if (files.length === 0) stop('No test file matches.')
await ensureRedis().catch((error: Error) => stop(error.message))
await ensurePostgres().catch((error: Error) => stop(error.message))
await ensureChromium().catch((error: Error) => stop(error.message))
await ensurePgliteTemplates()
const postgres = files.length < manyFiles ? undefined : await sharePostgres()
process.exitCode = (await runTests(files)) ? 0 : 1
await postgres?.[Symbol.asyncDispose]()

function findTestFiles(patterns: string[]): string[] {
  const all = globSync('{src,test,bench,web}/**/*.test.ts', { exclude: ['**/node_modules/**'] })
  const chosen = patterns.flatMap((pattern) => {
    const matching = all.filter((path) => path.includes(pattern))
    return matching.length > 0 ? matching : globSync(pattern)
  })
  return [...new Set(patterns.length > 0 ? chosen : all)].map((path) => resolve(path)).sort()
}

async function runTests(paths: string[]): Promise<boolean> {
  const faults: string[] = []
  const light = paths.filter(isLight)
  const groups = light.length < manyLightFiles ? new Map<string, string[]>() : together(light, lightGroups)
  const apart = groups.size === 0 ? paths : paths.filter((path) => !light.includes(path))
  const running = new Set([...groups.keys(), ...apart])
  /** Of the files of a group: those that a test was seen in. */
  const seen = new Set<string | undefined>()
  const durations = new Map<string, number>()
  let success = false

  const tests = run({
    files: longestFirst([...running]),
    isolation: 'process',
    // Many files wait rather than work, for a lease to run out or a process to start.
    concurrency: availableParallelism() + 1,
    timeout: testTimeoutMs,
    signal: AbortSignal.timeout(runTimeoutMs),
    execArgv: ['--import', import.meta.resolve('./support/watch-tests.ts')],
  })
  tests.on('test:summary', ({ file, counts, success: passed, duration_ms: ms }) => {
    if (!file) {
      success = passed
      return
    }
    running.delete(file)
    durations.set(file, ms)
    const files = groups.get(file)?.filter((member) => !seen.has(member)) ?? (counts.tests === 0 ? [file] : [])
    for (const empty of files) faults.push(`${shown(empty)}: there is no test in this file`)
  })
  tests.on('test:start', ({ file }) => seen.add(file))
  tests.on('test:diagnostic', ({ file, line, message }) => {
    if (message.startsWith("'only'")) faults.push(`${shown(file)}:${line}: a test is marked as the only one to run`)
  })
  tests.on('test:complete', ({ name, file, line, skip, todo }) => {
    if (skip === true || skip === '') faults.push(`${shown(file)}:${line}: "${name}" is skipped without a reason`)
    if (todo !== undefined) faults.push(`${shown(file)}:${line}: "${name}" is still to be done`)
  })

  const output = tests.compose(spec)
  output.pipe(process.stdout)
  await finished(output)
  keepDurations(durations)
  for (const path of running) {
    const files = (groups.get(path) ?? [path]).map(shown).join(', ')
    faults.push(`${files}: its process did not end properly`)
  }
  for (const fault of faults) say(`✖ ${fault}`)
  return success && faults.length === 0
}

function shown(path: string | undefined): string {
  return path ? relative(process.cwd(), path) : 'unknown'
}

function say(line: string): void {
  process.stderr.write(`${line}\n`)
}

function stop(reason: string): never {
  say(reason)
  process.exit(1)
}
