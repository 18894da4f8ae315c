import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { test } from 'node:test'

interface LintReport {
  diagnostics: { category: string; location: { path: string } }[]
}

/** Of the rules of biome.json those that carry a promise of ours: what each must refuse. */
const refused: Record<string, [file: string, source: string][]> = {
  plugin: [
    ['src/chat/template.ts', 'log.info(`turn of name`)'],
    ['src/chat/variable.ts', 'log.warn({ name }, name)'],
    ['src/chat/sum.ts', "deps.log.error({ name }, 'turn of '.concat(name))"],
    ['src/chat/silent.ts', 'log.error({ name })'],
    ['src/chat/named.ts', 'turnLog.debug(name)'],
    ['src/chat/child.ts', 'log.child({ name }).info({}, name)'],
    ['src/chat/lines.ts', 'log.fatal(\n  {\n    name,\n  },\n  name,\n)'],
  ],
  'lint/nursery/noFloatingPromises': [
    ['src/chat/floating.ts', 'async function send(): Promise<void> {}\nsend()'],
    ['src/chat/far.ts', "import { send } from './send.ts'\nsend()"],
  ],
  'lint/style/noProcessEnv': [['src/chat/environment.ts', 'export const port = process.env.PORT']],
  'lint/suspicious/noConsole': [['src/chat/console.ts', 'console.log(name)']],
  'lint/suspicious/noFocusedTests': [
    ['src/chat/only.test.ts', "import { test } from 'node:test'\ntest.only('', () => {})"],
  ],
  'lint/style/noDefaultExport': [['src/chat/default.ts', 'export default 1']],
  'lint/performance/noBarrelFile': [
    ['src/chat/one.ts', "export { one } from './default.ts'"],
    ['src/chat/all.ts', "export * from './default.ts'"],
  ],
  'lint/style/noExcessiveLinesPerFile': [['src/chat/long.ts', 'fill(1)\n'.repeat(401)]],
  'lint/style/useFilenamingConvention': [['src/chat/camelCase.ts', 'export const one = 1']],
  'lint/style/noNonNullAssertion': [['src/chat/bang.ts', 'export const one = deps!.one']],
}

/** What the rules must let pass. */
const allowed: [file: string, source: string][] = [
  ['src/chat/static.ts', "log.info('turn started')"],
  ['src/chat/fields.ts', "log.child({ name }).info({ name, time: Date.now() }, 'turn started')"],
  ['src/chat/field-lines.ts', "deps.log.warn(\n  {\n    name,\n  },\n  'turn started',\n)"],
  ['src/chat/other.ts', 'turnLog.append(name)\ndeps.catalog.info(name)'],
  ['src/chat/edge.ts', 'fill(1)\n'.repeat(400)],
  ['src/chat/send.ts', 'export async function send(): Promise<void> {}'],
  ['src/chat/waits.ts', "import { send } from './send.ts'\nvoid send()\nawait send()"],
  ['src/env.ts', 'export const port = process.env.PORT'],
  ['test/support/port.ts', 'export const port = process.env.PORT'],
]

test('each rule refuses what it is there for, and nothing else', async (t) => {
  const tree = await mkdtemp(join(tmpdir(), 'parley-lint-'))
  t.after(() => rm(tree, { recursive: true }))
  for (const path of ['biome.json', '.gitignore', 'test/architecture/static-log-messages.grit']) {
    await cp(path, join(tree, path), { recursive: true })
  }
  for (const [file, source] of [...Object.values(refused).flat(), ...allowed]) {
    await mkdir(dirname(join(tree, file)), { recursive: true })
    await writeFile(join(tree, file), `${source}\n`)
  }

  const biome = resolve('node_modules/.bin/biome')
  const args = [biome, 'lint', '--reporter=json', '--max-diagnostics=none']
  const { stdout } = spawnSync(process.execPath, args, { cwd: tree, encoding: 'utf8' })

  const { diagnostics } = JSON.parse(stdout) as LintReport
  assert.deepEqual(
    diagnostics.map(({ category, location }) => `${category}: ${location.path}`).sort(),
    Object.entries(refused)
      .flatMap(([rule, cases]) => cases.map(([file]) => `${rule}: ${file}`))
      .sort(),
  )
})
