/**
 * Runs every test file, or those whose path contains one of the arguments. Beside a failed test, these fail the run: a
 * leaked handle, an unhandled rejection, a test without an assertion, `only`, a skip without a reason, an empty file,
 * nothing to run at all.
 */
import { globSync } from 'node:fs'
import { availableParallelism, constants } from 'node:os'
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
import { RunProcesses } from './support/run-processes.ts'

// Variables of the environment, so that the tests of this file need not wait as long.
const testTimeoutMs = Number(process.env.PARLEY_TEST_TIMEOUT_MS ?? 120_000)
const runTimeoutMs = Number(process.env.PARLEY_TEST_RUN_TIMEOUT_MS ?? 15 * 60_000)
const lingerMs = Number(process.env.PARLEY_TEST_LINGER_MS ?? 20_000)
/** From the end of the tests to that of this process. */
const endMs = 60_000
/** From so many on it pays to start what several of them use. */
const manyFiles = 20
/** From so many on, files that leave their process as it was share processes. */
const manyLightFiles = 10
const lightGroups = 12

// Some hundred processes strip and compile the same sources.
process.env.NODE_COMPILE_CACHE ??= resolve('node_modules/.cache/parley/compiled')

const processes = new RunProcesses(lingerMs / 4)
endWithAll()

const files = findTestFiles(process.argv.slice(2))
if (files.length === 0) stop('No test file matches.')
await ensureRedis().catch((error: Error) => stop(error.message))
await ensurePostgres().catch((error: Error) => stop(error.message))
await ensureChromium().catch((error: Error) => stop(error.message))
await ensurePgliteTemplates()
const postgres = files.length < manyFiles ? undefined : await sharePostgres()
const faults: string[] = []
let groups: ReadonlyMap<string, readonly string[]> = new Map()
const success = await runTests(files)
endInTime()
await postgres?.[Symbol.asyncDispose]()
for (const { file, command } of await processes.end()) faults.push(`${shown(file)}: left a process running: ${command}`)
for (const fault of faults) say(`✖ ${fault}`)
process.exitCode = success && faults.length === 0 ? 0 : 1

function findTestFiles(patterns: string[]): string[] {
  const all = globSync('{src,test,bench,web}/**/*.test.ts', { exclude: ['**/node_modules/**'] })
  const chosen = patterns.flatMap((pattern) => {
    const matching = all.filter((path) => path.includes(pattern))
    return matching.length > 0 ? matching : globSync(pattern)
  })
  return [...new Set(patterns.length > 0 ? chosen : all)].map((path) => resolve(path)).sort()
}

async function runTests(paths: string[]): Promise<boolean> {
  const light = paths.filter(isLight)
  if (light.length >= manyLightFiles) groups = together(light, lightGroups)
  const apart = groups.size === 0 ? paths : paths.filter((path) => !light.includes(path))
  const running = new Set([...groups.keys(), ...apart])
  /** Of each group the file whose suite is being told of. */
  const suites = new Map<string, string>()
  /** Of the files of a group: those that a test was seen in. */
  const seen = new Set<string | undefined>()
  const durations = new Map<string, number>()
  let success = false

  processes.watch()
  const tests = run({
    files: longestFirst([...running]),
    isolation: 'process',
    // Many files wait rather than work, for a lease to run out or a process to start.
    concurrency: availableParallelism() + 2,
    timeout: testTimeoutMs,
    signal: AbortSignal.timeout(runTimeoutMs),
    // What is compiled for the second time is PGlite's program, which took longer than it then saved.
    execArgv: ['--liftoff-only', '--import', import.meta.resolve('./support/watch-tests.ts')],
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
  tests.on('test:start', ({ file, entryFile: group, line, name, nesting }) => {
    if (group === undefined || !groups.has(group)) return
    if (nesting === 0) {
      suites.set(group, resolve(name))
      return
    }
    const member = suites.get(group)
    seen.add(member)
    if (file === undefined || file === member || !groups.get(group)?.includes(file)) return
    faults.push(
      `${shown(file)}:${line}: "${name}" is not in the suite of its file, since something that it loads waits`,
    )
  })
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
  for (const path of running) faults.push(`${shown(path)}: its process did not end properly`)
  return success
}

/** Whatever ends this process ends all that it started. */
function endWithAll(): void {
  process.once('exit', () => processes.kill())
  for (const name of ['SIGHUP', 'SIGINT', 'SIGTERM'] as const) {
    process.once(name, () => process.exit(128 + constants.signals[name]))
  }
  // Nobody reads how it goes.
  process.stdout.once('error', () => process.exit(1))
}

/** Being unref'd, it can only fire in a process that something else keeps alive. */
function endInTime(): void {
  setTimeout(() => stop(`✖ the run was held up (${process.getActiveResourcesInfo().join(', ')})`), endMs).unref()
}

function shown(path: string | undefined): string {
  if (path === undefined) return 'unknown'
  return (groups.get(path) ?? [path]).map((each) => relative(process.cwd(), each)).join(', ')
}

function say(line: string): void {
  process.stderr.write(`${line}\n`)
}

function stop(reason: string): never {
  say(reason)
  process.exit(1)
}
