import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { TEST_MASTER_KEYS } from '../support/app.ts'
import { everyRowOf, everythingIn, filesIn } from '../support/at-rest.ts'
import { chatConfig, upstreamModel } from '../support/chat-config.ts'
import { nativeClient } from '../support/native-client.ts'
import { type Schema, sample } from '../support/openapi/sample.ts'
import { layPgliteTemplate } from '../support/pglite-template.ts'
import { startReplica } from '../support/replica.ts'
import { startSharedEngines } from '../support/shared-engines.ts'
import { startUpstream, type Upstream } from '../support/upstream.ts'

interface Operation {
  operationId: string
  parameters?: readonly { in: string; name: string; schema: Schema }[]
  requestBody?: { content: Record<string, { schema: Schema }> }
}

interface Document {
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, Schema> }
}

/** They would take away what is looked for. */
const ends = new Set(['eraseMe', 'erasePerson'])
/**
 * Words about how the service is run: versions, reasons, scopes, names of keys. They are kept as they are, for others to read,
 * and are in no log either.
 */
const operators = /^\/api\/v1\/(config|kill-switches|budgets|models|keys)\b/

/** Headers that have a form of their own, and would only be refused. */
const forms = new Set(['x-parley-config', 'if-match', 'prefer', 'last-event-id'])

/** Where what fits the schema would not get far. */
const bodies: Record<string, (mark: string, hash: string) => unknown> = {
  createConversation: (mark) => ({ specialist: 'helper', title: mark }),
  startTurn: (mark) => ({ message: mark }),
  startRun: (mark) => ({ arguments: { expression: mark } }),
  createChatCompletion: (mark) => ({ model: 'helper', messages: [{ role: 'user', content: mark }] }),
  giveFeedback: (mark) => ({ rating: 'down', comment: mark }),
  pushConfigVersion: (mark) => ({ description: mark, models: { [mark]: mark } }),
  approveRun: (mark, hash) => ({ hash, edited: { expression: mark } }),
  rejectRun: (mark) => ({ reason: mark }),
  exportPerson: () => ({ person: 'somebody' }),
  settleRun: (mark) => ({ status: 'failed', note: mark }),
}

let folder: string
let upstream: Upstream

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'parley-content-'))
  upstream = await startUpstream()
  const config = chatConfig({ only: upstreamModel('only', upstream.baseUrl) })
  const { calculate } = config.actions ?? {}
  assert.ok(calculate)
  // As `calculate`, once somebody has agreed.
  const careful = { ...calculate, approval: { ownAllowed: true, editable: ['expression'] } }
  const document = { ...config, actions: { ...config.actions, careful } }
  await writeFile(path.join(folder, 'v1.json'), JSON.stringify(document))
})
after(async () => {
  await upstream.close()
  await rm(folder, { recursive: true, force: true })
})

const variables = () => ({
  PARLEY_MASTER_KEYS: TEST_MASTER_KEYS,
  PARLEY_CONFIG_DIR: folder,
  PARLEY_EGRESS_HOSTS: upstream.host,
  PARLEY_LOG_LEVEL: 'debug',
})

interface Sent {
  operationId: string
  mark: string
  status: number
  byOperators: boolean
}

/** A mark of its own through every route, wherever a text may stand; and in what a model and an action answer. */
async function sendThroughAll(url: string): Promise<{ sent: Sent[]; answers: string[] }> {
  const { call } = nativeClient(url)
  const { paths, components } = (await call('GET', '/openapi.json')).body as Document
  const resolve = (ref: string): Schema => components.schemas[ref.split('/').at(-1) ?? ''] ?? {}
  const answers = ['Antwortkastanie', '7654321987', '15308643974']
  const answerWith = () => {
    upstream.plan = [
      { toolCalls: [{ name: 'calculate', arguments: `{"expression":"${answers[1]}*2"}` }] },
      { pieces: [`${answers[0]} `, 'and more.'] },
    ]
  }
  const sent: Sent[] = []
  for (const [template, methods] of Object.entries(paths)) {
    for (const [method, { operationId, parameters = [], requestBody }] of Object.entries(methods)) {
      if (ends.has(operationId)) continue
      const mark = `zwetschge${sent.length}x${operationId}`
      answerWith()
      const ids = await freshIds(url, template, answerWith)
      const target = template.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(ids[name] ?? mark))
      const query = new URLSearchParams()
      const headers: Record<string, string> = { 'user-agent': mark, referer: `https://elsewhere.example/${mark}` }
      for (const { in: where, name, schema } of parameters) {
        const value = String(sample(schema, mark, resolve))
        if (where === 'query') query.set(name, value)
        if (where === 'header' && !forms.has(name)) headers[name] = value
      }
      if (operationId === 'listRuns') query.delete('cursor')
      const schema = requestBody?.content['application/json']?.schema
      const body = bodies[operationId]?.(mark, ids.hash ?? '') ?? (schema && sample(schema, mark, resolve))
      const leave = new AbortController()
      const response = await fetch(`${url}${target}${query.size > 0 ? `?${query}` : ''}`, {
        method: method.toUpperCase(),
        headers: { ...headers, ...(body !== undefined && { 'content-type': 'application/json' }) },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        signal: leave.signal,
      })
      // Some streams go on for ever.
      const timer = template.endsWith('/stream') ? setTimeout(() => leave.abort(), 500) : undefined
      const text = await response.text().catch(() => '')
      clearTimeout(timer)
      assert.ok(response.status < 500, `${operationId}: ${response.status} ${text}`)
      sent.push({ operationId, mark, status: response.status, byOperators: operators.test(template) })
    }
  }
  return { sent, answers }
}

/** Something that the route can be asked about, new for each. */
async function freshIds(url: string, template: string, again: () => void): Promise<Record<string, string>> {
  const { call, conversation } = nativeClient(url)
  if (template.startsWith('/api/v1/specialists/')) return { id: 'plain' }
  if (template.startsWith('/api/v1/conversations/{id}')) return { id: await conversation('helper') }
  if (template.startsWith('/api/v1/actions/{name}')) return { name: 'calculate' }
  if (template.startsWith('/api/v1/turns/{id}')) {
    const turns = `/api/v1/conversations/${await conversation('helper')}/turns`
    const { body } = await call('POST', turns, { message: 'hello' })
    again()
    return { id: body.id }
  }
  if (template.startsWith('/api/v1/runs/{id}')) {
    const asked = { arguments: { expression: '1+1' } }
    const { body } = await call('POST', '/api/v1/actions/careful/runs', asked)
    assert.equal(body.status, 'awaiting-approval', JSON.stringify(body))
    return { id: body.id, hash: body.argumentsHash }
  }
  return {}
}

function checkAbsent(
  where: string,
  found: Buffer,
  { sent, answers }: Awaited<ReturnType<typeof sendThroughAll>>,
  kept: boolean,
) {
  const looked = kept ? sent.filter(({ byOperators }) => !byOperators) : sent
  for (const mark of [...looked.map(({ mark }) => mark), ...answers]) {
    for (const form of [
      mark,
      Buffer.from(mark).toString('hex'),
      Buffer.from(mark).toString('base64').replaceAll('=', ''),
    ]) {
      const at = found.indexOf(form)
      assert.equal(
        at,
        -1,
        `${mark} is in ${where}: ${found.subarray(Math.max(0, at - 200), at + 100).toString('latin1')}`,
      )
    }
  }
}

/** That the walk reached what it is about. */
function checkReached({ sent }: { sent: Sent[] }): void {
  const statuses = new Map(sent.map(({ operationId, status }) => [operationId, status]))
  for (const operation of [
    'startTurn',
    'createConversation',
    'giveFeedback',
    'createChatCompletion',
    'changeConsents',
  ]) {
    assert.ok((statuses.get(operation) ?? 0) < 300, `${operation}: ${statuses.get(operation)}`)
  }
  assert.ok(sent.length > 50)
}

test('embedded: nothing that is sent through any route is in logs, metrics or the data folder', async () => {
  const dataDir = path.join(folder, 'data')
  await layPgliteTemplate(dataDir)
  await using replica = await startReplica({ ...variables(), PARLEY_DATA_DIR: dataDir })
  const walked = await sendThroughAll(replica.url)
  checkReached(walked)
  const metrics = await (await fetch(`${replica.url}/metrics`)).text()
  assert.match(metrics, /parley|gen_ai|ai_/)
  checkAbsent('the metrics', Buffer.from(metrics), walked, false)
  checkAbsent('the data folder', await filesIn(dataDir), walked, true)
  await replica.terminate()
  checkAbsent('the data folder', await filesIn(dataDir), walked, true)
  const log = Buffer.from(replica.printed.join('\n'))
  assert.ok(log.includes('Request answered'), 'what is logged was looked at')
  checkAbsent('the log', log, walked, false)
})

test('Redis and PostgreSQL: nothing that is sent through any route is in a key or a row', async () => {
  await using engines = await startSharedEngines()
  await using replica = await startReplica({ ...variables(), ...engines.variables })
  const walked = await sendThroughAll(replica.url)
  checkReached(walked)
  checkAbsent('Redis', await everythingIn(engines.redis), walked, true)
  const rows = await everyRowOf(engines.postgres, engines.variables.DATABASE_URL ?? '')
  assert.ok(rows.includes('calculate'), 'rows were looked at')
  checkAbsent('PostgreSQL', rows, walked, true)
  checkAbsent('the log', Buffer.from(replica.printed.join('\n')), walked, false)
})
