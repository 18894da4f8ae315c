import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cliRun } from '../../test/support/cli-run.ts'
import { startTransport } from '../../test/support/transport-server.ts'

const ID = `key_${'0'.repeat(32)}`
const view = {
  ...{ id: ID, name: 'nightly', owner: 'ana', status: 'live', chat: ['*'], actions: [], budget: null, version: 3 },
  ...{
    createdAt: 0,
    expiresAt: Date.UTC(2027, 0, 1),
    rotatedAt: null,
    oldTextUntil: null,
    revokedAt: null,
    usedAt: null,
  },
}

/** A process that has one key, and says what it was asked. */
async function start() {
  const asked: [method: string, path: string, body?: unknown, ifMatch?: string | undefined][] = []
  const open = { config: { open: true } } as const
  const transport = await startTransport((server) => {
    server.post('/api/v1/keys', open, (request, reply) => {
      asked.push(['POST', request.url, request.body])
      return reply.code(201).send({ ...view, key: 'parley_text' })
    })
    server.get('/api/v1/keys', open, async (request) => {
      asked.push(['GET', request.url])
      const isLast = request.url.includes('cursor')
      const second = { ...view, id: `key_${'1'.repeat(32)}`, owner: null, usedAt: 0, actions: ['a', 'b'] }
      const budget = { limitUsd: 20, period: 'month' }
      return isLast ? { items: [{ ...second, budget }], next: null } : { items: [view], next: ID }
    })
    server.get(`/api/v1/keys/${ID}`, open, (_, reply) => reply.header('etag', '"3"').send(view))
    server.post(`/api/v1/keys/${ID}/rotate`, open, async (request) => {
      asked.push(['POST', request.url, request.body, request.headers['if-match']])
      return { ...view, key: 'parley_new', oldTextUntil: Date.UTC(2026, 11, 1) }
    })
    server.delete(`/api/v1/keys/${ID}`, open, (request, reply) => {
      asked.push(['DELETE', request.url])
      return reply.code(204).send(null)
    })
  })
  return {
    asked,
    run: (...args: string[]) => cliRun(transport.url, undefined, ['keys', ...args]),
    [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
  }
}

test('a key is made for what is said, and its text is a line of its own', async () => {
  await using cli = await start()
  const { code, out } = await cli.run('create', 'nightly')
  assert.equal(code, 0)
  assert.deepEqual(out.split('\n'), [
    'parley_text',
    `${ID}, until 2027-01-01 00:00:00Z. Its text is shown this once.`,
    '',
  ])
  const terms = ['--chat', 'hermes, apollo', '--actions', '*', '--days', '30', '--budget', '20.5/month']
  const json = await cli.run('create', 'nightly', ...terms, '--json')
  assert.equal(JSON.parse(json.out).key, 'parley_text')
  const budget = { limitUsd: 20.5, period: 'month' }
  assert.deepEqual(cli.asked, [
    ['POST', '/api/v1/keys', { name: 'nightly' }],
    ['POST', '/api/v1/keys', { name: 'nightly', days: 30, chat: ['hermes', 'apollo'], actions: ['*'], budget }],
  ])
})

test('all pages are listed, of oneself, of the tenant or of one person', async () => {
  await using cli = await start()
  const { out } = await cli.run('list')
  assert.match(
    out,
    /^id +status +until +used +chat +actions +budget +owner +name\nkey_0+ +live +2027-01-01 00:00:00Z +never +\* +nothing +none +ana +nightly\n/,
  )
  assert.match(out, /\nkey_1+ .* 1970-01-01 00:00:00Z +\* +a,b +20\/month +erased +nightly\n$/)
  await cli.run('list', '--tenant')
  await cli.run('list', '--owner', 'ana')
  assert.deepEqual(
    cli.asked.map(([, path]) => path.replace('/api/v1/keys?limit=200', '')),
    ['', '&whose=tenant', '&whose=tenant&owner=ana'].flatMap((query) => [query, `${query}&cursor=${ID}`]),
  )
})

test('rotated by what was seen, and revoked', async () => {
  await using cli = await start()
  const { out } = await cli.run('rotate', ID, '--overlap', '0', '--days', '10')
  assert.match(out, /^parley_new\n.* The text before is taken until 2026-12-01 00:00:00Z\.\n$/)
  assert.equal((await cli.run('revoke', ID)).out, `${ID} is revoked.\n`)
  assert.deepEqual(cli.asked, [
    ['POST', `/api/v1/keys/${ID}/rotate`, { overlapMinutes: 0, days: 10 }, '"3"'],
    ['DELETE', `/api/v1/keys/${ID}`],
  ])
})

test('what is not given as it is taken asks nobody', async () => {
  await using cli = await start()
  for (const args of [
    ['create'],
    ['create', 'n', '--days', 'x'],
    ['create', 'n', '--budget', '20'],
    ['create', 'n', '--budget', '20/year'],
    ['rotate', ID, '--overlap', '-1'],
    ['rotate', 'parley_text'],
    ['revoke'],
    ['revoke', '../conversations'],
  ]) {
    assert.equal((await cli.run(...args)).code, 2, args.join(' '))
  }
  assert.deepEqual(cli.asked, [])
  assert.match((await cli.run()).out, /parley keys create <name>[\s\S]+parley keys revoke <id>/)
})
