import assert from 'node:assert/strict'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { parse } from 'yaml'
import { builtinExecutors } from '#actions/executors/builtin/registry.ts'
import { serviceDesk } from '#actions/executors/builtin/service-desk/service-desk.ts'
import { describeFault } from '#config/fault.ts'
import { loadVersion } from '#config/load.ts'
import { openConfigVersions } from '#config/versions.ts'
import type { ModelsEnv } from '#env.ts'
import { FolderBlobStore } from '#platform/blob/folder.ts'
import type { Sql } from '#platform/sql/sql.ts'
import { configChecks } from '../../src/config-checks.ts'
import { readEnv } from '../../src/env.ts'
import { capturedLog } from '../support/captured-log.ts'
import { manualClock } from '../support/clock.ts'

const SHIPPED = resolve('config-versions')
const BARE: ModelsEnv = { openai: undefined, azureOpenai: undefined, egressHosts: [] }
/** Versions are checked without a database. */
const NO_SQL: Sql = {
  engine: 'pglite',
  reachable: false,
  transaction: () => Promise.reject(new Error('No database is expected here.')),
  query: () => Promise.reject(new Error('No database is expected here.')),
  close: async () => {},
}
const WITH_KEY: ModelsEnv = { ...BARE, openai: { apiKey: 'test', baseUrl: 'https://api.openai.com/v1' } }

/** What the environment permits: nothing, unless told. */
interface Permitted {
  hosts?: readonly string[]
  mcpCommands?: readonly (readonly string[])[]
}

async function open(t: TestContext, dir: string, models: ModelsEnv, { hosts = [], mcpCommands = [] }: Permitted = {}) {
  const { log, lines } = capturedLog()
  const clock = manualClock()
  const own = await mkdtemp(join(tmpdir(), 'parley-shipped-'))
  t.after(() => rm(own, { recursive: true }))
  const { actions, rollout } = readEnv({})
  const functions = [...builtinExecutors, ...serviceDesk(NO_SQL)].map(([name]) => name)
  const permitted = { ...actions, egressHosts: hosts, mcpCommands }
  const checks = configChecks({ models, actions: permitted, rollout, functions })
  const store = (root: string) => new FolderBlobStore({ root, clock, log })
  const versions = await openConfigVersions({
    blobs: { versions: store(dir), rollout: store(own) },
    place: dir,
    cacheDir: join(own, 'versions'),
    checkedBy: 'test',
    load: async (name, bytes, format) => loadVersion(name, bytes, format, checks),
    clock,
    log,
  })
  t.after(() => versions.close())
  /** Two looks, the second of which reads what the first has found. */
  const looks = async () => {
    await versions.refresh()
    clock.advance(2000)
    await versions.refresh()
  }
  return { versions, lines, looks }
}

async function copyOf(t: TestContext, ...files: [from: string, to: string][]): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'parley-shipped-'))
  t.after(() => rm(dir, { recursive: true }))
  for (const [from, to] of files) await cp(join(SHIPPED, from), join(dir, to))
  return dir
}

test('the shipped versions are sound without any environment', async (t) => {
  const { versions } = await open(t, SHIPPED, BARE)
  assert.deepEqual(versions.faults(), [])
  const { models, routes, specialists } = versions.newest().document
  assert.deepEqual(Object.keys(specialists), ['apollo', 'athena', 'hermes'])
  assert.deepEqual(routes.default?.models, ['primary', 'backup'])
  assert.notEqual(models.primary?.pace, models.backup?.pace)
})

test('the example of tools is sound where the environment permits them, and says what does not', async (t) => {
  const dir = await copyOf(t, ['v002.yaml', 'v002.yaml'], ['examples/tools.yaml', 'v003.yaml'])
  const hosts = ['127.0.0.1:9080']
  const mcpCommands = [['node', 'config-versions/examples/mcp-server.mjs']]
  const { versions } = await open(t, dir, BARE, { hosts, mcpCommands })
  assert.equal(versions.newest().name, 'v003')
  const { versions: without } = await open(t, dir, BARE)
  assert.equal(without.newest().name, 'v002')
  assert.deepEqual(
    without
      .faults()[0]
      ?.faults.map(({ path }) => path)
      .sort(),
    ['actions.service_status.http.url', 'mcpServers.handbook.command', 'openapi.announcements.url'],
  )
})

test('the example for OpenAI is sound with a key, and says what is missing without one', async (t) => {
  const dir = await copyOf(t, ['v001.yaml', 'v001.yaml'], ['examples/openai.yaml', 'v002.yaml'])
  const { versions } = await open(t, dir, WITH_KEY)
  assert.equal(versions.newest().name, 'v002')
  const { versions: without } = await open(t, dir, BARE)
  assert.equal(without.newest().name, 'v001')
  assert.match(without.faults()[0]?.faults[0]?.message ?? '', /OPENAI_API_KEY/)
})

test('the published schema takes the shipped versions, as an editor applies it', async () => {
  const schema = JSON.parse(await readFile('docs/config.schema.json', 'utf8'))
  const validate = new Ajv2020({ validateFormats: false }).compile(schema)
  for (const file of ['v001.yaml', 'v002.yaml', 'examples/openai.yaml', 'examples/tools.yaml', 'examples/undo.yaml']) {
    const text = await readFile(join(SHIPPED, file), 'utf8')
    assert.ok(text.startsWith('# yaml-language-server: $schema=../docs/config.schema.json\n'), file)
    assert.equal(validate(parse(text)), true, file)
  }
  assert.equal(validate({}), false)
})

test('the fault that docs/config.md makes is the one that it shows', async (t) => {
  const dir = await copyOf(t, ['v002.yaml', 'v002.yaml'], ['v002.yaml', 'v003.yaml'])
  const sound = await readFile(join(dir, 'v003.yaml'), 'utf8')
  await writeFile(join(dir, 'v003.yaml'), sound.replace('route: default', 'route: defualt'))
  const { versions, lines, looks } = await open(t, dir, BARE)
  const [fault] = versions.faults()[0]?.faults ?? []
  assert.ok(fault)
  assert.ok((await readFile('docs/config.md', 'utf8')).includes(describeFault('/tmp/v003.yaml', fault)))
  assert.ok(lines.some(({ msg, file }) => msg === 'Config version refused' && file === 'v003.yaml'))
  assert.equal(versions.newest().name, 'v002')
  await writeFile(join(dir, 'v003.yaml'), sound)
  await looks()
  assert.equal(versions.newest().name, 'v003')
})
