import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { createArchive } from '#conversations/archive/create.ts'
import { archiveMigrations } from '#conversations/archive/turns-migration.ts'
import { createConversations } from '#conversations/create.ts'
import { dataKeysMigration } from '#conversations/data-keys/migration.ts'
import { createLog } from '#log.ts'
import { systemClock } from '#platform/clock.ts'
import { openKv } from '#platform/kv/open.ts'
import { openSql } from '#platform/sql/open.ts'
import { type Env, readEnv } from '../../src/env.ts'
import { startApp, TEST_MASTER_KEYS } from '../support/app.ts'
import { everythingIn, filesIn } from '../support/at-rest.ts'
import { chatConfig, upstreamModel } from '../support/chat-config.ts'
import { collect, nativeClient, textOf } from '../support/native-client.ts'
import { layPgliteTemplate } from '../support/pglite-template.ts'
import { startReplica } from '../support/replica.ts'
import { RpcClient } from '../support/rpc-client.ts'
import { startSharedEngines } from '../support/shared-engines.ts'
import { type Plan, startUpstream, type Upstream } from '../support/upstream.ts'

/** What was said, in ways that are told apart; none of it may be found where it is kept. */
const said = {
  title: 'Zyklopentitel',
  message: 'Nachtigallfrage',
  answer: 'Haselnussantwort',
  arguments: '987654321',
  result: '1975308642',
  comment: 'Kastanienlob',
  caller: 'Pinselohraffe',
}

const secrets = Object.values(said)
const plans = (): Plan[] => [
  { toolCalls: [{ name: 'calculate', arguments: `{"expression":"${said.arguments}*2"}` }] },
  { pieces: [`${said.answer} `, 'and ', 'more.'] },
]

let folder: string
let upstream: Upstream

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'parley-rest-'))
  upstream = await startUpstream()
  const config = chatConfig({ only: upstreamModel('only', upstream.baseUrl) })
  await writeFile(path.join(folder, 'v1.json'), JSON.stringify(config))
})

after(async () => {
  await upstream.close()
  await rm(folder, { recursive: true, force: true })
})

/** A turn with an action, its feedback, and a chat completion that asks the caller back in between. */
async function talk(url: string): Promise<{ conversation: string; turn: string }> {
  const client = nativeClient(url)
  const created = await client.call('POST', '/api/v1/conversations', { specialist: 'helper', title: said.title })
  const conversation = created.body.id
  upstream.plan = plans()
  const headers = { 'idempotency-key': said.message }
  const { turn, events } = await client.stream(conversation, `${said.message}?`, { headers })
  const seen = await collect(events)
  assert.equal(textOf(seen), `${said.answer} and more.`)
  assert.match(JSON.stringify(seen), new RegExp(said.result))
  const feedback = { rating: 'up', comment: said.comment }
  assert.equal((await client.call('POST', `/api/v1/turns/${turn}/feedback`, feedback)).status, 204)

  upstream.plan = [
    {
      toolCalls: [
        { name: 'calculate', arguments: `{"expression":"${said.arguments}*2"}` },
        { name: 'look_up', arguments: `{"name":"${said.caller}"}` },
      ],
    },
  ]
  const completion = await client.call('POST', '/v1/chat/completions', {
    model: 'helper',
    messages: [{ role: 'user', content: `${said.message}!` }],
    tools: [{ type: 'function', function: { name: 'look_up', parameters: { type: 'object' } } }],
  })
  assert.equal(completion.body.choices[0].finish_reason, 'tool_calls', JSON.stringify(completion.body))
  return { conversation, turn }
}

function checkUnreadable(kept: Buffer, known: string): void {
  assert.ok(kept.includes(known), 'what is not secret is found')
  for (const secret of secrets) {
    for (const form of [secret, Buffer.from(secret).toString('base64'), Buffer.from(secret).toString('hex')]) {
      assert.ok(!kept.includes(form), `${secret} can be read`)
    }
  }
}

const variables = () => ({
  PARLEY_MASTER_KEYS: TEST_MASTER_KEYS,
  PARLEY_CONFIG_DIR: folder,
  PARLEY_EGRESS_HOSTS: upstream.host,
})

async function destroyKeyOf({ kv: kvEnv, sql: sqlEnv, masterKeys }: Env): Promise<void> {
  const log = createLog('silent')
  const tokens = { token: () => Promise.reject(new Error('no tokens are needed')) }
  const kv = await openKv({ env: kvEnv, clock: systemClock, log, tokens })
  const migrations = [...archiveMigrations, dataKeysMigration]
  const sql = await openSql({ env: sqlEnv, migrations, clock: systemClock, log, tokens })
  const archive = sqlEnv.engine === 'postgres' ? await createArchive({ sql, masterKeys }) : undefined
  const conversations = await createConversations({ kv, masterKeys, idleMs: 60_000, archive })
  await conversations.destroyKey({ tenant: 'local', id: 'local' })
  await Promise.all([kv.close(), sql.close()])
}

async function checkErased(url: string, { conversation, turn }: { conversation: string; turn: string }): Promise<void> {
  const client = nativeClient(url)
  for (const target of [
    `/api/v1/conversations/${conversation}`,
    `/api/v1/conversations/${conversation}/messages`,
    `/api/v1/turns/${turn}`,
    `/api/v1/turns/${turn}/stream`,
  ]) {
    const { status, body } = await client.call('GET', target)
    const code = target.includes('/turns/') ? 'turn_not_found' : 'conversation_not_found'
    assert.deepEqual([status, body.error.code], [404, code], target)
  }
  for (const accept of ['application/json', 'text/event-stream']) {
    const asked = { message: 'And now?' }
    const more = await client.call('POST', `/api/v1/conversations/${conversation}/turns`, asked, { accept })
    assert.deepEqual([more.status, more.body.error.code], [404, 'conversation_not_found'], accept)
  }
  const rpc = await RpcClient.connect(url, 'plain')
  const chat = await rpc.call('chat', { conversation, message: 'And now?' })
  assert.equal(chat.error?.data?.code, 'conversation_not_found', JSON.stringify(chat))
  const resumed = await rpc.call('resume', { turn })
  assert.equal(resumed.error?.data?.code, 'turn_not_found', JSON.stringify(resumed))
  rpc.socket.close()
  await rpc.closed
  const list = await client.call('GET', '/api/v1/conversations')
  assert.deepEqual([list.status, list.body.items], [200, []])
  const fresh = await client.call('POST', '/api/v1/conversations', { specialist: 'plain', title: said.title })
  upstream.plan = [{ pieces: [said.answer] }]
  const turns = `/api/v1/conversations/${fresh.body.id}/turns`
  assert.equal((await client.call('POST', turns, { message: said.message })).body.text, said.answer)
}

test('SQLite: nothing that was said can be read in its files, nor in the log of the process', async () => {
  const dataDir = path.join(folder, 'data')
  await layPgliteTemplate(dataDir)
  await using replica = await startReplica({ ...variables(), PARLEY_DATA_DIR: dataDir, PARLEY_LOG_LEVEL: 'debug' })
  const { conversation } = await talk(replica.url)
  checkUnreadable(await filesIn(dataDir), conversation)
  assert.equal(await replica.terminate(), 0)
  checkUnreadable(await filesIn(dataDir), conversation)
  checkUnreadable(Buffer.from(replica.printed.join('\n')), 'Parley is ready')
})

test('Redis: nothing that was said can be read in its keys', async () => {
  await using engines = await startSharedEngines()
  const { redis } = engines
  await using replica = await startReplica({ ...variables(), ...engines.variables })
  const { conversation } = await talk(replica.url)
  checkUnreadable(await everythingIn(redis), conversation)
})

test('SQLite: with the key of a principal all that it said is gone', async () => {
  const dataDir = path.join(folder, 'erased')
  const env = readEnv({ ...variables(), PARLEY_DATA_DIR: dataDir })
  let past: Awaited<ReturnType<typeof talk>>
  {
    await using app = await startApp({ dataDir, variables: variables() })
    past = await talk(app.url)
  }
  await destroyKeyOf(env)
  await using app = await startApp({ dataDir, variables: variables() })
  await checkErased(app.url, past)
})

test('Redis: with the key of a principal all that it said is gone, on running replicas too', async () => {
  await using engines = await startSharedEngines()
  const env = readEnv({ ...variables(), ...engines.variables })
  await using app = await startApp({ variables: { ...variables(), ...engines.variables } })
  const past = await talk(app.url)
  await destroyKeyOf(env)
  await checkErased(app.url, past)
})

test('master keys are exchanged without a loss, and the old one is of no more use afterwards', async () => {
  const dataDir = path.join(folder, 'rotated')
  const masterKey = (id: string) => `${id}:${randomBytes(32).toString('base64')}`
  const [old, young] = [masterKey('old'), masterKey('young')]
  const startWith = (keys: string) => startApp({ dataDir, variables: { ...variables(), PARLEY_MASTER_KEYS: keys } })
  const read = async (url: string, { conversation, turn }: { conversation: string; turn: string }) => {
    const client = nativeClient(url)
    const shown = await client.call('GET', `/api/v1/conversations/${conversation}`)
    const answered = await client.call('GET', `/api/v1/turns/${turn}`)
    return [shown.body.title, answered.body.text, answered.body.feedback?.comment]
  }
  const expected = [said.title, `${said.answer} and more.`, said.comment]
  let past: Awaited<ReturnType<typeof talk>>
  {
    await using app = await startWith(old)
    past = await talk(app.url)
  }
  for (const keys of [`${young},${old}`, young]) {
    await using app = await startWith(keys)
    assert.deepEqual(await read(app.url, past), expected)
    assert.deepEqual(await collect(await nativeClient(app.url).resume(past.turn)).then(textOf), expected[1])
  }
  await using app = await startWith(old)
  const { status, body } = await nativeClient(app.url).call('GET', `/api/v1/turns/${past.turn}`)
  assert.deepEqual([status, body.error.code], [500, 'sealed_unreadable'])
})
