/**
 * Loaded into the process of every test file by `test/run.ts`. Fails a test that passes without an assertion, and a
 * file whose process does not end by itself once its tests have.
 */
import assert from 'node:assert'
import { syncBuiltinESMExports } from 'node:module'
import { relative } from 'node:path'
import { after, afterEach, beforeEach, type SuiteContext, type TestContext } from 'node:test'

const lingerMs = 5000
let assertions = 0
const assertionsBefore = new WeakMap<object, number>()

countCalls(assert)
countCalls(assert.strict)
// What was imported by name follows; a bare `assert(…)` cannot be counted.
syncBuiltinESMExports()

beforeEach((context: TestContext | SuiteContext) => {
  assertionsBefore.set(context, assertions)
  if (!('skip' in context)) return
  const skip = context.skip.bind(context)
  context.skip = (reason) => {
    assertions += 1
    skip(reason)
  }
})

afterEach((context: TestContext | SuiteContext) => {
  if (context.passed && assertions === assertionsBefore.get(context)) {
    throw new Error('This test made no assertion (a bare assert() is not counted, assert.ok() is).')
  }
})

after(() => {
  // Being unref'd, it can only fire in a process that something else keeps alive.
  setTimeout(() => {
    const file = relative(process.cwd(), process.argv[1] ?? '')
    const held = process.getActiveResourcesInfo().filter((kind) => kind !== 'PipeWrap')
    process.stderr.write(`${file} leaked a handle: its process was still alive ${lingerMs} ms after its last test`)
    process.stderr.write(` (${held.join(', ') || 'a pipe or a child process'}).\n`)
    process.exit(1)
  }, lingerMs).unref()
})

function countCalls(target: object): void {
  for (const [name, value] of Object.entries(target)) {
    const isMethod = typeof value === 'function' && /^[a-z]/.test(name) && name !== 'strict'
    if (!isMethod) continue
    const counted = (...given: unknown[]) => {
      assertions += 1
      return value(...given)
    }
    Object.assign(target, { [name]: counted })
  }
}
