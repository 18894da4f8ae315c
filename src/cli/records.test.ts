import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import type { AuditVerdict } from '#governance/audit.ts'
import { cliRun } from '../../test/support/cli-run.ts'
import { startTransport } from '../../test/support/transport-server.ts'

const HASH = 'a'.repeat(64)

/** A process that gives these answers. */
async function start({ verdict, csv = [] }: { verdict?: AuditVerdict; csv?: (string | Error)[] }) {
  const asked: string[] = []
  const transport = await startTransport((server) => {
    server.get('/api/v1/audit/verify', { config: { open: true } }, async (request) => {
      asked.push(request.url)
      return verdict
    })
    server.get('/api/v1/usage', { config: { open: true } }, (request, reply) => {
      asked.push(request.url)
      reply.hijack()
      reply.raw.writeHead(200, { 'content-type': 'text/csv' })
      for (const part of csv) {
        if (typeof part === 'string') reply.raw.write(part)
        else return void setImmediate(() => reply.raw.destroy())
      }
      reply.raw.end()
    })
  })
  const folder = await mkdtemp(path.join(tmpdir(), 'parley-cli-'))
  const run = (...args: string[]) => cliRun(transport.url, undefined, args)
  return {
    asked,
    run,
    file: (name: string) => path.join(folder, name),
    async [Symbol.asyncDispose]() {
      await transport[Symbol.asyncDispose]()
      await rm(folder, { recursive: true })
    },
  }
}

test('a log that holds says where it stands, so that it can be looked for again', async () => {
  await using cli = await start({
    verdict: { intact: true, entries: 3, from: null, head: { seq: 3, hash: HASH }, broken: null },
  })
  const { code, out } = await cli.run('audit', 'verify')
  assert.deepEqual([code, out], [0, `The audit log is intact: 3 entries, the last 3:${HASH}.\n`])
  await cli.run('audit', 'verify', '--seen', `3:${HASH}`)
  assert.deepEqual(cli.asked, ['/api/v1/audit/verify', `/api/v1/audit/verify?seen=3:${HASH}`])
  assert.equal(JSON.parse((await cli.run('audit', 'verify', '--json')).out).entries, 3)
})

test('a log that does not hold ends with 1, and says from where on', async () => {
  const broken = { seq: 2, because: 'missing' } as const
  await using cli = await start({
    verdict: { intact: false, entries: 1, from: null, head: { seq: 1, hash: HASH }, broken },
  })
  const { code, err } = await cli.run('audit', 'verify')
  assert.deepEqual([code, err], [1, 'parley: The audit log does not hold: entry 2 is missing.\n'])
  const json = await cli.run('audit', 'verify', '--json')
  assert.deepEqual([json.code, JSON.parse(json.out).broken], [1, broken])
})

test('a month goes to the output or to a file', async () => {
  await using cli = await start({ csv: ['a,b\r\n', '1,2\r\n'] })
  const { code, out } = await cli.run('usage', 'export', '2026-11')
  assert.deepEqual([code, out], [0, 'a,b\r\n1,2\r\n'])
  const file = cli.file('usage.csv')
  assert.equal((await cli.run('usage', 'export', '2026-11', '--out', file)).code, 0)
  assert.equal(await readFile(file, 'utf8'), out)
  assert.deepEqual(new Set(cli.asked), new Set(['/api/v1/usage?month=2026-11&format=csv']))
})

test('an answer that breaks off is said not to be all', async () => {
  await using cli = await start({ csv: ['a,b\r\n', new Error('gone')] })
  for (const args of [[], ['--out', cli.file('usage.csv')]]) {
    const { code, err } = await cli.run('usage', 'export', '2026-11', ...args)
    assert.deepEqual([code, err], [1, 'parley: The answer broke off; what came of it is not all.\n'])
  }
})

test('what is not given as it is taken ends with 2, and asks nobody', async () => {
  await using cli = await start({})
  for (const args of [
    ['audit'],
    ['audit', 'forget'],
    ['audit', 'verify', '--seen', 'x'],
    ['usage', 'export'],
    ['usage', 'export', '2026-13'],
    ['usage', 'export', '2026-11', '--out', '/nowhere/at/all.csv'],
  ]) {
    const { code } = await cli.run(...args)
    assert.equal(code, args.length === 1 ? 0 : 2, args.join(' '))
  }
  assert.match((await cli.run('--help')).out, /parley audit verify[\s\S]+parley usage export <month>/)
  assert.doesNotMatch((await cli.run('audit')).out, /config push/)
})
