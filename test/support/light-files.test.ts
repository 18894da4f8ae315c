import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { isLight, together } from './light-files.ts'

let folder: string

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'parley-light-'))
})

after(() => rm(folder, { recursive: true }))

async function written(name: string, source: string): Promise<string> {
  const path = join(folder, `${name}.test.mjs`)
  await writeFile(path, source)
  return path
}

for (const [what, isExpected, source] of [
  ['calls functions', true, "test('sums', () => equal(1 + 1, 2))"],
  ['starts the app', true, "import { startApp } from '../support/app.ts'\ntest('starts', () => startApp())"],
  ['has hooks', true, "beforeEach(() => {})\ntest('sums', () => equal(1 + 1, 2))"],
  ['runs a contract suite', true, "contract('SQLite')"],
  ['sets a variable of the environment', false, "test('reads', () => { process.env.NAME = 'x' })"],
  ['puts a clock in place of that of the process', false, "test('waits', () => mock.timers.enable())"],
  ['closes a server that it calls a mock', true, "test('asks', async () => {\n  await mock.close()\n})"],
  ['starts processes', false, "import { spawn } from 'node:child_process'\ntest('spawns', () => spawn('true'))"],
  ['trusts more', false, "import { startKeyVault } from '../support/key-vault.ts'\ntest('reads', () => {})"],
  ['waits before its tests', true, "const server = await start()\ntest('asks', () => server.ask())"],
] as const) {
  test(`a file that ${what} ${isExpected ? 'shares a process' : 'has its own'}`, async () => {
    assert.equal(isLight(await written('any', source)), isExpected)
  })
}

test('files run one after the other, and nobody feels the hooks of another', async () => {
  const hooks = ['before', 'beforeEach', 'afterEach', 'after']
  const sourceOf = (name: string) =>
    `import * as runner from 'node:test'\nconsole.log('${name} loaded')\n` +
    'await new Promise((resolve) => setTimeout(resolve, 20))\n' +
    hooks.map((hook) => `runner.${hook}(() => console.log('${name} ${hook}'))\n`).join('') +
    ['one', 'two'].map((each) => `runner.test('${each}', () => console.log('${name} ${each}'))\n`).join('')
  const paths = await Promise.all(['first', 'second'].map((name) => written(name, sourceOf(name))))
  const [group, ...others] = [...together(paths, 16)]
  assert.deepEqual([group?.[1], others], [paths, []])
  const { stdout } = await promisify(execFile)(process.execPath, [group?.[0] ?? ''], { env: {} })
  const printed = stdout.split('\n').filter((line) => /^(first|second) (?!loaded)/.test(line))
  const ofTest = (name: string) => ['beforeEach', name, 'afterEach']
  const ofFile = ['before', ...ofTest('one'), ...ofTest('two'), 'after']
  assert.deepEqual(
    printed,
    ['first', 'second'].flatMap((name) => ofFile.map((what) => `${name} ${what}`)),
  )
})
