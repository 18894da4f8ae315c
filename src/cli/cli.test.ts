import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { ParleyError } from '#errors.ts'
import { registerConfigApi } from '#transport/config-api.ts'
import { cliRun, quietHost } from '../../test/support/cli-run.ts'
import { freePort } from '../../test/support/free-port.ts'
import { ScriptedConfig } from '../../test/support/scripted-config.ts'
import { caller, startTransport } from '../../test/support/transport-server.ts'
import { runCli } from './cli.ts'

async function start(config = new ScriptedConfig()) {
  const heard: string[] = []
  const folder = await mkdtemp(path.join(tmpdir(), 'parley-cli-'))
  const transport = await startTransport((server, log) => registerConfigApi(server, config, log), {
    authenticate: ({ headers }) => {
      heard.push(headers.authorization ?? '')
      return { principal: caller }
    },
  })
  const run = (...args: string[]) => cliRun(transport.url, 'a token', args)
  const file = async (name: string, text: string) => {
    await writeFile(path.join(folder, name), text)
    return path.join(folder, name)
  }
  return {
    config,
    heard,
    run,
    file,
    async [Symbol.asyncDispose]() {
      await transport[Symbol.asyncDispose]()
      await rm(folder, { recursive: true })
    },
  }
}

test('push sends a file under its name, and says what it comes to', async () => {
  await using cli = await start()
  cli.config.weakenings = [{ kind: 'host', path: 'actions.a.http.url', message: 'The host x.example is new.' }]
  const { code, out } = await cli.run('config', 'push', await cli.file('v003.yaml', 'description: é\n'))
  assert.equal(code, 0)
  assert.match(out, /^v003 is pushed \(16 bytes, SHA-256 [0-9a-f]{12}…\)\.\n0 changes against v002\.\n/)
  assert.match(out, /! actions\.a\.http\.url: The host x\.example is new\.\n$/)
  await cli.run('config', 'push', await cli.file('some.json', '{}'), '--name', 'v004')
  assert.deepEqual(
    cli.config.asked.map(([, , ...rest]) => rest),
    [
      ['v003', 'description: é\n', 'yaml'],
      ['v004', '{}', 'json'],
    ],
  )
  assert.ok(cli.heard.every((authorization) => authorization === 'Bearer a token'))
})

test('the same bytes again are no push, other bytes are refused', async () => {
  await using cli = await start()
  const file = await cli.file('v003.yaml', 'a: 1')
  await cli.run('config', 'push', file)
  assert.match((await cli.run('config', 'push', file)).out, /^v003 is there already, with the same bytes/)
  const other = await cli.run('config', 'push', await cli.file('v003.yaml', 'a: 2'))
  assert.equal(other.code, 1)
  assert.match(other.err, /^parley: A config version of this name exists already/)
})

test('a file that is too large is said to be, however much of it was sent', async () => {
  await using cli = await start()
  const { code, err } = await cli.run('config', 'push', await cli.file('v003.yaml', 'x'.repeat(12_000_000)))
  assert.equal(code, 1)
  assert.match(err, /v003\.yaml has 12000000 bytes; a config version has at most 1 MiB\.\n$/)
})

test('faults are printed as compilers print them, all of them', async () => {
  await using cli = await start()
  cli.config.faults = [
    { path: 'routes.default', line: 3, column: 5, message: 'no model "x"' },
    { path: '', line: 9, column: 1, message: 'has more' },
  ]
  const file = await cli.file('v003.yaml', 'a: 1')
  for (const flags of [[], ['--dry-run']]) {
    const { code, err } = await cli.run('config', 'push', file, ...flags)
    assert.equal(code, 1)
    assert.deepEqual(err.split('\n'), [
      `${file}:3:5 routes.default: no model "x"`,
      `${file}:9:1 has more`,
      'parley: v003 has 2 faults and was not pushed.',
      '',
    ])
  }
  const { code, out } = await cli.run('config', 'push', file, '--json')
  assert.equal(code, 1)
  assert.deepEqual(JSON.parse(out).error.faults, cli.config.faults)
})

test('a dry run pushes nothing', async () => {
  await using cli = await start()
  const { code, out } = await cli.run('config', 'push', await cli.file('v003.yaml', 'a: 1'), '--dry-run')
  assert.deepEqual([code, out], [0, 'v003 is sound; it was not pushed.\n'])
  assert.deepEqual(cli.config.asked, [])
})

test('list is a table, show the document itself, or what is known of it', async () => {
  await using cli = await start()
  const fault = { path: 'routes', line: 2, column: 1, message: 'is missing' }
  cli.config.add('v010', 'x: 1\n', { status: 'refused', faults: [fault], uploadedBy: { id: 'a', name: 'Ada' } })
  const lines = (await cli.run('config', 'list')).out.split('\n')
  assert.deepEqual(lines, [
    'VERSION  STATUS             SERVES         FIRST SEEN            PUSHED BY  DESCRIPTION',
    'v010     refused (1 fault)  -              2024-10-04 00:00:00Z  Ada        for a test',
    'v002     sound              stable, 100 %  2024-10-04 00:00:00Z  -          for a test',
    '',
  ])
  const shown = await cli.run('config', 'show', 'v010')
  assert.deepEqual([shown.code, shown.out, shown.err], [0, 'x: 1\n', 'v010:2:1 routes: is missing\n'])
  assert.equal(JSON.parse((await cli.run('config', 'show', 'v010', '--json')).out).name, 'v010')
  const unknown = await cli.run('config', 'diff', 'v010', 'v011')
  assert.deepEqual([unknown.code, unknown.err], [1, 'parley: There is no config version "v011".\n'])
  assert.match(
    (await cli.run('config', 'push', '/nowhere/v011.yaml')).err,
    /^parley: \/nowhere\/v011\.yaml is not there\.\n/,
  )
})

test('approve, diff and start say what came of them', async () => {
  await using cli = await start()
  cli.config.add('v003', 'b')
  const { out: approved } = await cli.run('config', 'approve', 'v003')
  assert.match(
    approved,
    /^v003 is approved by Caller\.\nNobody knows .*: if it guards less, somebody else has to start it\.\n$/,
  )
  cli.config.add('v004', 'x: 1\n', { uploadedBy: { id: 'a', name: 'Ada' } })
  assert.equal((await cli.run('config', 'approve', 'v004')).out, 'v004 is approved by Caller.\n')
  assert.equal((await cli.run('config', 'diff', 'v002', 'v003')).code, 0)
  const { code, out } = await cli.run('config', 'start', 'v003', '--waive', 'cost-high', '--waive', 'thumbs-down')
  assert.deepEqual([code, out], [0, 'v002 stable.\nAfter start.\n'])
  assert.deepEqual(cli.config.asked.at(-1), [
    'start',
    'Caller',
    { version: 'v003', waive: ['cost-high', 'thumbs-down'], ifMatch: 'e1' },
  ])
})

test('decisions fetch the tag of the state that they are made on', async () => {
  await using cli = await start()
  cli.config.become({})
  assert.equal((await cli.run('config', 'rollback', '--reason', 'It says odd things.')).code, 0)
  assert.deepEqual(cli.config.asked, [['rollback', 'Caller', { reason: 'It says odd things.', ifMatch: 'e2' }]])
  cli.config.refusal = new ParleyError('rollout_state', { message: 'No rollout is live.' })
  const { code, err } = await cli.run('config', 'promote')
  assert.deepEqual([code, err], [1, 'parley: No rollout is live.\n'])
})

test('an error that is not as it should be moves no cursor, and for a machine it is one line', async () => {
  await using cli = await start()
  cli.config.refusal = new ParleyError('rollout_state', { message: 'Gone.\u001b[2J\nAnd more.' })
  const { err } = await cli.run('config', 'promote')
  assert.equal(err, 'parley: Gone.\\u001b[2J\nAnd more.\n')
  const { out } = await cli.run('config', 'promote', '--json')
  assert.match(out, /^.+\n$/)
  assert.equal(JSON.parse(out).error.code, 'rollout_state')
})

test('who comes second is told who was faster, and how things stand', async () => {
  await using cli = await start()
  cli.config.refusal = new ParleyError('version_conflict')
  const from = { from: 'canary 1/3 (5 %)', to: 'rolled-back', by: 'Ada', operator: 'ada', reason: 'odd' }
  cli.config.past.push({ epoch: 7, at: 0, rollout: 'r', candidate: 'v003', evidence: null, ...from })
  const { code, err } = await cli.run('config', 'promote')
  assert.equal(code, 1)
  assert.equal(
    err,
    'parley: Ada was faster: canary 1/3 (5 %) → rolled-back at 1970-01-01 00:00:00Z (odd). Now: v002 stable. Look at it, and decide anew.\n',
  )
})

test('status and history for people and for machines', async () => {
  await using cli = await start()
  cli.config.become({ waiting: [{ version: 'v003', reason: 'a second operator has to agree' }], reachable: false })
  const { out } = await cli.run('config', 'status')
  assert.match(out, /^stable {3}v002 \(SHA-256 [0-9a-f]{12}…\)\nrollout {2}none\nverdict {2}No rollout is live\.\n/)
  assert.match(out, /waiting {2}v003: a second operator has to agree\nstore {4}out of reach/)
  assert.equal(JSON.parse((await cli.run('config', 'status', '--json')).out).etag, 'e2')
  assert.equal(JSON.parse((await cli.run('config', 'history', '--json', '--limit', '5')).out).items.length, 0)
})

test('what is not given as it is taken ends with 2, and asks nobody', async () => {
  await using cli = await start()
  const wrong = [
    ['chat'],
    ['chat', 'Hello', 'again'],
    ['chat', '--resume', 'turn_1'],
    ['chat', '--conversation', 'conv_1', '--specialist', 'apollo'],
    ['talk'],
    ['config', 'explode'],
    ['config', 'toString'],
    ['config', 'push'],
    ['config', 'push', 'a', 'b'],
    ['config', 'push', '/nowhere/v003.yaml'],
    ['config', 'list', '--watch'],
    ['config', 'status', 'v003'],
    ['config', 'pause', '--reason'],
    ['config', 'history', '--limit', '0'],
  ]
  for (const args of wrong) {
    const { code, err } = await cli.run(...args)
    assert.equal(code, 2, args.join(' '))
    assert.match(err, /^parley: .+\nparley --help lists the commands\.\n$/s)
  }
  assert.deepEqual(cli.heard, [])
  for (const args of [[], ['--help'], ['config'], ['config', '-h']]) {
    const { code, out } = await cli.run(...args)
    assert.equal(code, 0)
    assert.match(out, /parley config push <file>/)
  }
  assert.match((await cli.run('config', 'push', '--help')).out, /--dry-run/)
})

test('who is not known is told what to send', async () => {
  await using transport = await startTransport((server, log) => registerConfigApi(server, new ScriptedConfig(), log), {
    authenticate: () => Promise.reject(new ParleyError('unauthenticated')),
  })
  const { code, err } = await cliRun(transport.url, undefined, ['config', 'list'])
  assert.equal(code, 1)
  assert.match(err, /^parley: The request carries no valid identity\.\nPARLEY_TOKEN .+\n$/)
})

test('a process that is not there is said not to be, and an address that is none is refused', async () => {
  const host = { ...quietHost(), token: undefined, out: () => {} }
  let said = ''
  const err = (text: string) => {
    said += text
  }
  const url = `http://127.0.0.1:${await freePort()}`
  assert.equal(await runCli(['config', 'list'], { ...host, url, err }), 1)
  assert.match(said, /cannot be reached: ECONNREFUSED/)
  said = ''
  assert.equal(await runCli(['config', 'list'], { ...host, url: url.replace('//', '//me:secret@'), err }), 1)
  assert.match(said, /^parley: http:\/\/127\.0\.0\.1:\d+ cannot be reached: ECONNREFUSED\.\n$/)
  assert.equal(await runCli(['config', 'list'], { ...host, url: 'localhost:8080', err }), 2)
})
