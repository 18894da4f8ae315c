import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { cliRun } from '../../test/support/cli-run.ts'

const page = { 'content-type': 'text/html' }

test('an answer that is not of Parley, or breaks off, is said to be, whatever was asked for', async () => {
  const server = createServer((request, response) => {
    if (request.url?.startsWith('/half')) {
      response.writeHead(200, { 'content-length': '100' }).write('{', () => response.destroy())
    } else if (request.url?.startsWith('/moved')) response.writeHead(302, { location: '/page' }).end()
    else response.writeHead(200, page).end('<html>Sign in</html>')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const run = (at: string, ...args: string[]) => cliRun(`${url}/${at}`, undefined, ['config', ...args])
  for (const [at, ...args] of [
    ['page', 'status'],
    ['moved', 'status'],
    ['page', 'history'],
    ['page', 'status', '--watch'],
    ['page', 'pause'],
  ]) {
    const { code, err } = await run(at ?? '', ...args)
    assert.equal(code, 1)
    assert.match(err, /^parley: http:\/\/127\.0\.0\.1:\d+\/page\S* answered 200 OK, and it was not Parley\.\n$/)
  }
  const { code, err } = await run('half', 'list')
  assert.deepEqual([code, err], [1, 'parley: The answer broke off; what came of it is not all.\n'])
  const json = await run('page', 'status', '--json')
  assert.deepEqual([json.code, JSON.parse(json.out).error.code], [1, 'unreachable'])
  server.closeAllConnections()
  await once(server.close(), 'close')
})
