/**
 * Loaded into the process of every test file by `test/run.ts`. Fails a test that passes without an assertion, and a
 * file whose process does not end by itself once its tests have.
 */
import assert from 'node:assert'
import strict from 'node:assert/strict'
import { syncBuiltinESMExports } from 'node:module'
import { relative } from 'node:path'
import { after, afterEach, beforeEach, type SuiteContext, type TestContext } from 'node:test'
import { markStarted } from './run-processes.ts'
import { waitingTimers } from './waiting-timers.ts'

/** What is closed once the tests have ended counts as well, and may be slow on a machine that is busy. */
const lingerMs = Number(process.env.PARLEY_TEST_LINGER_MS ?? 20_000)
let assertions = 0
const assertionsBefore = new WeakMap<object, number>()

markStarted(process.argv[1] ?? '')
countAssertions()

beforeEach((context: TestContext | SuiteContext) => {
  // For the first of a process Node looks through all assertions here, which is counted.
  if ('assert' in context) countOwnAssertions(context)
  assertionsBefore.set(context, assertions)
})

afterEach((context: TestContext | SuiteContext) => {
  if (context.passed && assertions === assertionsBefore.get(context)) {
    throw new Error('This test made no assertion (a bare assert() is not counted, assert.ok() is).')
  }
})

after(() => {
  // Being unref'd, it can only fire in a process that something else keeps alive.
  setTimeout(async () => {
    const file = relative(process.cwd(), process.argv[1] ?? '')
    const held = process.getActiveResourcesInfo().filter((kind) => kind !== 'PipeWrap')
    process.stderr.write(`${file} leaked a handle: its process was still alive ${lingerMs} ms after its last test`)
    const timers = await waitingTimers()
    process.stderr.write(` (${[...held, ...timers].join(', ') || 'a pipe'}).\n`)
    process.exit(1)
  }, lingerMs).unref()
})

function countAssertions(): void {
  let byName = true
  for (const target of [assert, strict]) {
    for (const [name, method] of Object.entries(target)) {
      if (typeof method !== 'function' || !/^[a-z]/.test(name) || name === 'strict') continue
      const counted = (...given: unknown[]) => {
        assertions += 1
        return method(...given)
      }
      // `assert.ok` quotes the expression that failed from its caller, so no frame may stand between the two.
      const get = () => {
        if (byName) return counted
        assertions += 1
        return method
      }
      Object.defineProperty(target, name, { get })
    }
  }
  // Imports by name are bound once, to the wrapper.
  syncBuiltinESMExports()
  byName = false
}

function countOwnAssertions(context: TestContext): void {
  const { assert: own } = context
  const skip = context.skip.bind(context)
  const get = () => {
    assertions += 1
    return own
  }
  Object.defineProperty(context, 'assert', { get })
  context.skip = (reason) => {
    assertions += 1
    skip(reason)
  }
}
