import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { startTests } from '../support/harness-run.ts'
import { isAlive } from '../support/run-processes.ts'

const skip = existsSync('/proc/self/stat') ? false : 'what is running is told by /proc alone'

const beginning = `
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'

/** Holds both pipes of this process open; its pid is in the file of that name. */
function leave(name, options) {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: ['ignore', 'inherit', 'inherit'], ...options })
  writeFileSync(new URL('./' + name + '.pid', import.meta.url), String(child.pid))
  child.unref()
}
`

describe('a run of the tests ends, and ends what it started', { skip, concurrency: true }, () => {
  let root: string

  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'parley-harness-end-'))
    await writeFile(join(root, 'package.json'), '{"type":"module"}')
  })
  after(() => rm(root, { recursive: true }))

  const write = async (files: Record<string, string>) => {
    const folder = await mkdtemp(join(root, 'files-'))
    for (const [name, source] of Object.entries(files))
      await writeFile(join(folder, `${name}.test.ts`), beginning + source)
    return folder
  }

  test('also where a test hangs, or its process leaves another or is killed, and names them', async () => {
    const folder = await write({
      hangs:
        "test('hangs', () => {\n  leave('hangs', { env: {} })\n  assert.ok(1)\n  return new Promise(() => setInterval(() => {}, 1000))\n})",
      leaves: "test('leaves', () => assert.equal(leave('leaves', { detached: true }), undefined))",
      dies: "test('dies', () => {\n  leave('dies')\n  process.kill(process.pid, 'SIGKILL')\n})",
    })
    const limits = { PARLEY_TEST_TIMEOUT_MS: '1000', PARLEY_TEST_LINGER_MS: '1000' }
    const { code, output } = await startTests([join(folder, '*.test.ts')], limits).ended
    assert.equal(code, 1)
    assert.match(output, /hangs\.test\.ts: its process did not end properly/)
    for (const name of ['hangs', 'leaves', 'dies']) {
      assert.match(output, new RegExp(`✖ \\S*${name}\\.test\\.ts: left a process running: .*setInterval`))
      assert.equal(isAlive(await pidIn(folder, name)), false)
    }
  })

  test('also where a process does nothing else any more', async () => {
    const folder = await write({ loops: 'for (;;);' })
    const { code, output } = await startTests([join(folder, '*.test.ts')], { PARLEY_TEST_RUN_TIMEOUT_MS: '1000' }).ended
    assert.equal(code, 1)
    assert.match(output, /loops\.test\.ts: its process did not end properly/)
  })

  const ways: Record<string, { end: (run: ReturnType<typeof startTests>) => void; code: number }> = {
    'it is interrupted': { end: ({ process }) => process.kill('SIGINT'), code: 130 },
    'it is told to stop': { end: ({ process }) => process.kill('SIGTERM'), code: 143 },
    'nobody reads its output': { end: ({ process }) => process.stdout?.destroy(), code: 1 },
  }
  for (const [name, { end, code }] of Object.entries(ways)) {
    test(`also where ${name}`, async () => {
      const folder = await write({
        goes:
          "test('leaves', () => assert.equal(leave('goes', { detached: true }), undefined))\n" +
          "test('goes on', async () => {\n  assert.ok(1)\n  for (;;) {\n    console.log('on')\n    await new Promise((resolve) => setTimeout(resolve, 20))\n  }\n})",
      })
      const run = startTests([join(folder, '*.test.ts')])
      const pid = await pidIn(folder, 'goes')
      assert.ok(isAlive(pid))
      const exited = once(run.process, 'exit')
      end(run)
      assert.equal((await exited)[0], code)
      while (isAlive(pid)) await shortly()
    })
  }
})

/** As soon as it is written. */
async function pidIn(folder: string, name: string): Promise<number> {
  for (;;) {
    const pid = Number(await readFile(join(folder, `${name}.pid`), 'utf8').catch(() => ''))
    if (pid > 0) return pid
    await shortly()
  }
}

function shortly(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 20))
}
