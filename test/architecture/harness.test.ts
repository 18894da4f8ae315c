import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { startTests } from '../support/harness-run.ts'

const imports = "import assert, { equal } from 'node:assert/strict'\nimport { describe, test } from 'node:test'\n"

/** Files that the runner must refuse: what stands in them, and what the output must say of them. */
const faulty: Record<string, { source: string; says: RegExp }> = {
  'a failed test': {
    source: "test('sum', () => equal(1 + 1, 3))",
    says: /✖ sum/,
  },
  'a timer left running': {
    source: "test('fine', () => assert.ok(1))\nsetInterval(() => {}, 1000)",
    says: /a-timer-left-running\.test\.ts leaked a handle: .* \(.*Timeout.*, 1000 ms: \(\) => \{\}\)/,
  },
  'a server left listening': {
    source: "import { createServer } from 'node:net'\ntest('fine', () => assert.ok(createServer().listen(0)))",
    says: /a-server-left-listening\.test\.ts leaked a handle: .* \(.*TCPServerWrap.*\)/,
  },
  'a child left running': {
    source:
      "import { spawn } from 'node:child_process'\n" +
      "test('fine', () => assert.ok(spawn(process.execPath, ['-e', 'setTimeout(() => {}, 9000)'])))",
    says: /a-child-left-running\.test\.ts leaked a handle: .* \(.*ProcessWrap.*\)/,
  },
  'a rejection after the end': {
    source: "test('fine', () => {\n  assert.ok(1)\n  setTimeout(() => Promise.reject(new Error('too late')), 50)\n})",
    says: /✖ \S*a-rejection-after-the-end\.test\.ts/,
  },
  'a rejection during a test': {
    source:
      "test('waits', async () => {\n  assert.ok(1)\n  Promise.reject(new Error('unseen'))\n" +
      '  await new Promise((resolve) => setTimeout(resolve, 50))\n})',
    says: /✖ waits[\s\S]*unseen/,
  },
  'a test without an assertion': {
    source: "test('fine', () => assert.ok(1))\ntest('idle', () => {})",
    says: /✖ idle[\s\S]*made no assertion/,
  },
  'a first test without an assertion': {
    source: "test('idle', () => {})\ntest('fine', () => assert.ok(1))",
    says: /✖ idle[\s\S]*made no assertion/,
  },
  'a suite without assertions': {
    source: "describe('suite', () => {\n  test('fine', () => assert.ok(1))\n  test('idle', () => {})\n})",
    says: /✖ idle[\s\S]*made no assertion/,
  },
  'a subtest without an assertion': {
    source: "test('whole', async (t) => {\n  assert.ok(1)\n  await t.test('idle', () => {})\n})",
    says: /✖ idle[\s\S]*made no assertion/,
  },
  'the only test': {
    source: "test.only('fine', () => assert.ok(1))",
    says: /✖ \S*the-only-test\.test\.ts:\d+: a test is marked as the only one to run/,
  },
  'a skip without a reason': {
    source: "test('fine', () => assert.ok(1))\ntest('left out', { skip: true }, () => assert.ok(1))",
    says: /"left out" is skipped without a reason/,
  },
  'a test to be done': {
    source: "test('fine', () => assert.ok(1))\ntest('later', { todo: true }, () => assert.ok(1))",
    says: /"later" is still to be done/,
  },
  'an empty file': {
    source: '',
    says: /an-empty-file\.test\.ts: there is no test in this file/,
  },
  'an exit half-way': {
    source: "test('leaves', () => {\n  assert.ok(1)\n  process.exit(0)\n})\ntest('never', () => assert.ok(1))",
    says: /an-exit-half-way\.test\.ts: its process did not end properly/,
  },
}

const sound = `
test('default import', () => assert.equal(1, 1))
test('named import', () => equal(1, 1))
test('of the context', (t) => t.assert.equal(1, 1))
test('a throw that is expected', () => assert.throws(() => { throw new Error('so') }))
test('in a subtest', (t) => t.test('inner', () => equal(1, 1)))
test('left out', { skip: 'no such machine' }, () => equal(1, 2))
test('left out half-way', (t) => t.skip('no such machine'))
describe('at once', { concurrency: true }, () => {
  for (const name of ['one', 'two']) test(name, async () => equal(await name, name))
})
`

describe('the test runner', { concurrency: true }, () => {
  let folder: string

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'parley-harness-'))
    await writeFile(join(folder, 'package.json'), '{"type":"module"}')
  })
  after(() => rm(folder, { recursive: true }))

  for (const [name, { source, says }] of Object.entries(faulty)) {
    test(`refuses ${name}`, async () => {
      const { code, output } = await runFile(folder, name, source)
      assert.match(output, says)
      assert.equal(code, 1)
    })
  }

  test('accepts what is sound', async () => {
    const { code, output } = await runFile(folder, 'sound', sound)
    assert.equal(code, 0, output)
    assert.match(output, /tests 10\n.*suites 1\n.*pass 8\n.*fail 0\n.*cancelled 0\n.*skipped 2\n/)
  })

  test('holds files that share processes to the same, and to suites of their own', async () => {
    const apart = await mkdtemp(join(folder, 'light-'))
    const write = (name: string, source: string) => writeFile(join(apart, `${name}.test.ts`), source)
    for (let file = 0; file < 10; file++) await write(`sound-${file}`, `${imports}test('sum', () => equal(1 + 1, 2))`)
    await write('empty', `${imports}if (Date.now() < 0)\ntest('never', () => {})`)
    await write('idle', `${imports}test('idle', () => {})`)
    await writeFile(join(apart, 'waits.mjs'), 'await new Promise((resolve) => setTimeout(resolve, 10))')
    const waiting = `${imports}import './waits.mjs'\ntest('late', () => equal(1 + 1, 2))`
    for (let file = 0; file < 8; file++) await write(`waiting-${file}`, waiting)
    const { code, output } = await runTests([join(apart, '*.test.ts')])
    assert.equal(code, 1)
    assert.match(output, /tests 19\n.*suites 20\n.*pass 18\n.*fail 1\n/)
    assert.match(output, /waiting-\d\.test\.ts:\d+: "late" is not in the suite of its file/)
    assert.match(output, /empty\.test\.ts: there is no test in this file/)
    assert.match(output, /✖ idle[\s\S]*made no assertion/)
  })

  test('refuses to run nothing', async () => {
    const { code, output } = await runTests(['no-such-file'])
    assert.equal(output, 'No test file matches.\n')
    assert.equal(code, 1)
  })
})

async function runFile(folder: string, name: string, source: string) {
  const path = join(folder, `${name.replaceAll(' ', '-')}.test.ts`)
  await writeFile(path, imports + source)
  return runTests([path])
}

function runTests(patterns: string[]): Promise<{ code: number | null; output: string }> {
  return startTests(patterns).ended
}
