import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'

interface Cruise {
  summary: {
    violations: { from: string; rule: { name: string } }[]
    ruleSetUsed: { forbidden: { name: string }[] }
  }
}

/** What each rule must refuse: the file, and the import in it. */
const refused: Record<string, [file: string, specifier: string][]> = {
  'transport-imports-downward': [['src/transport/up.ts', '#cli/a.ts']],
  'chat-imports-downward': [
    ['src/chat/a.ts', '#transport/a.ts'],
    ['src/chat/using.ts', '#transport/a.ts'],
  ],
  'actions-imports-downward': [['src/actions/a.ts', '#chat/a.ts']],
  'config-imports-downward': [['src/config/a.ts', '#actions/a.ts']],
  'models-imports-downward': [['src/models/a.ts', '#config/a.ts']],
  'conversations-imports-downward': [['src/conversations/a.ts', '#models/a.ts']],
  'governance-imports-downward': [['src/governance/a.ts', '#conversations/a.ts']],
  'identity-imports-downward': [['src/identity/a.ts', '#governance/a.ts']],
  'events-imports-downward': [['src/events/a.ts', '#identity/a.ts']],
  'telemetry-imports-downward': [['src/telemetry/a.ts', '#events/a.ts']],
  'platform-imports-downward': [
    ['src/platform/a.ts', '#telemetry/a.ts'],
    ['src/platform/far.ts', '#transport/a.ts'],
  ],
  'module-with-a-place': [['src/chat/newcomer.ts', '#newcomer/a.ts']],
  'no-circles': [['src/models/one.ts', './two.ts']],
  resolvable: [['src/models/lost.ts', './nowhere.ts']],
  'ground-stands-alone': [['src/errors.ts', '#ids.ts']],
  'app-only-from-main': [['src/transport/app.ts', '#app.ts']],
  'main-from-nowhere': [['test/main.ts', '#main.ts']],
  'environment-handed-in': [['src/models/environment.ts', '#env.ts']],
  'modules-by-their-face': [['src/chat/inside.ts', '#models/providers/a.ts']],
  'ports-not-adapters': [['src/chat/adapter.ts', '#platform/kv/redis.ts']],
  'across-modules-by-name': [['src/chat/path.ts', '../models/a.ts']],
  'vendors-behind-platform': [
    ['src/models/redis.ts', 'ioredis'],
    ['src/models/azure.ts', '@azure/identity'],
    ['src/models/sqlite.ts', 'node:sqlite'],
  ],
  'openai-behind-its-provider': [['src/models/openai.ts', 'openai']],
  'mcp-behind-its-executor': [['src/actions/executors/http/a.ts', '@modelcontextprotocol/client']],
  'undici-where-we-call-out': [['src/models/undici.ts', 'undici']],
  'fastify-in-transport': [
    ['src/chat/fastify.ts', 'fastify'],
    ['src/chat/websocket.ts', '@fastify/websocket'],
  ],
  'cli-by-wire': [['src/cli/chat.ts', '#chat/a.ts']],
  'sources-without-tests': [['src/chat/fake.ts', '../../test/fake.ts']],
  'sources-without-dev-dependencies': [['src/chat/dev.ts', 'fast-check']],
}

/** What the rules must let pass. */
const allowed: [file: string, specifier: string][] = [
  ['src/main.ts', './app.ts'],
  ['src/actions/executors/mcp/a.ts', '@modelcontextprotocol/client'],
  ['src/app.ts', '#models/providers/a.ts'],
  ['src/app.ts', '#platform/kv/redis.ts'],
  ['src/app.ts', './env.ts'],
  ['src/app.ts', 'fastify'],
  ['src/transport/down.ts', '#chat/a.ts'],
  ['src/chat/port.ts', '#platform/kv/kv.ts'],
  ['src/models/inside.ts', './providers/a.ts'],
  ['src/models/two.ts', './one.ts'],
  ['src/models/providers/vendor.ts', 'openai'],
  ['src/models/providers/client.ts', 'undici'],
  ['src/platform/kv/redis.ts', 'ioredis'],
  ['src/transport/server.ts', 'fastify'],
  ['src/chat/a.test.ts', '#models/providers/a.ts'],
  ['test/app.test.ts', '#app.ts'],
]

/** An import that stands where not every parser looks. */
const using = "{\n  await using opened = await import('#transport/a.ts')\n  void opened\n}\n"

/** What is imported above and imports nothing itself. */
const leaves = [
  'src/cli/a.ts',
  'src/transport/a.ts',
  'src/newcomer/a.ts',
  'src/models/providers/a.ts',
  'src/platform/kv/kv.ts',
  'src/env.ts',
  'src/ids.ts',
  'test/fake.ts',
]

test('each boundary refuses the import it is there for, and nothing else', async (t) => {
  const tree = await mkdtemp(join(tmpdir(), 'parley-boundaries-'))
  t.after(() => rm(tree, { recursive: true }))
  await plant(tree, [...Object.values(refused).flat(), ...allowed])

  const { violations, ruleSetUsed } = await cruise(tree)

  assert.deepEqual(
    violations.map(({ rule, from }) => `${rule.name}: ${from}`).sort(),
    Object.entries(refused)
      .flatMap(([rule, cases]) => cases.map(([file]) => `${rule}: ${file}`))
      .sort(),
  )
  assert.deepEqual(ruleSetUsed.forbidden.map(({ name }) => name).sort(), Object.keys(refused).sort())
})

async function plant(tree: string, imports: [file: string, specifier: string][]): Promise<void> {
  const sources = new Map(leaves.map((file) => [file, 'export const leaf = 1\n']))
  for (const [file, specifier] of imports) {
    sources.set(file, `${sources.get(file) ?? 'export const value = 1\n'}import '${specifier}'\n`)
  }
  for (const [file, source] of sources) {
    await mkdir(dirname(join(tree, file)), { recursive: true })
    await writeFile(join(tree, file), source)
  }
  await writeFile(join(tree, 'src/chat/using.ts'), using)
  await symlink(resolve('node_modules'), join(tree, 'node_modules'))
  await symlink(resolve('package.json'), join(tree, 'package.json'))
}

async function cruise(tree: string): Promise<Cruise['summary']> {
  const command = resolve('node_modules/.bin/depcruise')
  const args = [command, '--config', resolve('.dependency-cruiser.mjs'), '--output-type', 'json', 'src', 'test']
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: tree, maxBuffer: 1 << 24 })
  return (JSON.parse(stdout) as Cruise).summary
}
