import assert from 'node:assert/strict'
import { resolve } from 'node:path'
import { test } from 'node:test'
import { correctable, executorsFor, passing, pinOf, until } from '../../../../test/support/mcp-executors.ts'

const program = resolve(import.meta.dirname, '../../../../test/support/mcp-server.ts')

/** A server in a line, of the first revision: answers each request by its method. */
function oneLiner(answers: string): string[] {
  const program = `
    const answer = (id, result) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, result }) + '\\n')
    const answers = ${answers}
    require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
      const { id, method, params } = JSON.parse(line)
      if (answers[method]) answer(id, answers[method](params))
      else if (id !== undefined) process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, error: { code: -32601, message: 'no' } }) + '\\n')
    })`
  return [process.execPath, '--eval', program]
}

const initialize = `initialize: () => ({ protocolVersion: '2024-11-05', capabilities: { tools: {} }, serverInfo: { name: 'one', version: '1' } })`
const list = (name: string) => `'tools/list': () => ({ tools: [{ name: '${name}', inputSchema: { type: 'object' } }] })`

test('a program that is not there has not done it', async (context) => {
  const { call, lines } = executorsFor(context, { command: ['/nowhere/parley-test-server'] })
  await assert.rejects(call('echo', {}), passing('connect_failed', true))
  assert.deepEqual(
    lines.map(({ msg }) => msg),
    ['MCP server out of reach'],
  )
})

test('the log has what a program said that ended before it served', async (context) => {
  const command = [process.execPath, '--eval', 'console.error("no licence"); process.exit(3)']
  const { call, lines } = executorsFor(context, { command })
  await assert.rejects(call('echo', {}), passing('connect_failed', true))
  assert.match(String(lines[0]?.lastWords), /^no licence/)
})

test('a program inherits where to find things, and none of our secrets', async (context) => {
  const names = `'tools/call': () => ({ content: [{ type: 'text', text: Object.keys(process.env).join() }] })`
  const { call } = executorsFor(context, { command: oneLiner(`{ ${initialize}, ${list('names')}, ${names} }`) })
  const answer = String(await call('names', {})).split(',')
  assert.ok(answer.includes('PATH'))
  // This process has many more: npm and the test runner see to that.
  const known = ['HOME', 'LOGNAME', 'PATH', 'SHELL', 'TERM', 'USER']
  assert.deepEqual(
    answer.filter((name) => !known.includes(name)),
    [],
  )
})

test('a server that does not keep to its own description is still heard', async (context) => {
  const tools = `'tools/list': () => ({ tools: [{ name: 'odd', inputSchema: { type: 'object' }, outputSchema: { type: 'object', required: ['a'] } }] })`
  const odd = `'tools/call': () => ({ content: [], structuredContent: { b: 1 } })`
  const { call } = executorsFor(context, { command: oneLiner(`{ ${initialize}, ${tools}, ${odd} }`) })
  assert.deepEqual(await call('odd', {}), { b: 1 })
})

test('what makes no sense as an answer fails on our side', async (context) => {
  const { call } = executorsFor(context, {
    command: oneLiner(`{ ${initialize}, ${list('odd')}, 'tools/call': () => ({ content: 7 }) }`),
  })
  await assert.rejects(call('odd', {}), { name: 'Error', message: /not to be used/ })
})

test('an answer far beyond its limit costs the connection, and is told to the call that it was for', async (context) => {
  const { call } = executorsFor(context, { command: [process.execPath, program] })
  await assert.rejects(call('large', { length: 5_000_000 }), {
    name: 'AnswerLostError',
    message: /more than 262144 bytes/,
  })
  assert.equal(await call('echo', { text: 'again' }), 'again')
  const both = await Promise.allSettled([call('slow', { ms: 20_000 }), call('large', { length: 5_000_000 })])
  for (const { status, ...end } of both) {
    assert.equal(status, 'rejected')
    assert.ok('reason' in end && passing('connection_lost', false)(end.reason), 'nobody knows whose it was')
  }
})

test('a server without tools offers none', async (context) => {
  const bare = initialize.replace('{ tools: {} }', '{}')
  const { call } = executorsFor(context, { command: oneLiner(`{ ${bare} }`) })
  await assert.rejects(call('echo', {}), correctable(/does not offer this tool/))
})

test('a change that is made known disables the tool, and the server goes on', async (context) => {
  const spec = { command: [process.execPath, program] }
  const { call, lines } = executorsFor(context, spec)
  const pin = await pinOf(spec)
  const drifted = () =>
    call('service_status', { service: 'desk' }, { pin }).then(() => false, correctable(/tool_drifted/))
  assert.equal(await drifted(), false)
  await call('redescribe', { description: 'Something else.' })
  await until(drifted)
  assert.equal(lines.filter(({ msg }) => msg === 'MCP server connected').length, 1)
})

test('errors of the protocol say whether to correct, to try again, or neither', async (context) => {
  const program = (code: number) =>
    oneLiner(`{ ${initialize}, ${list('odd')} }`).map((word) => word.replace('-32601', String(code)))
  const failing = (code: number) => executorsFor(context, { command: program(code) }).call('odd', {})
  await assert.rejects(failing(-32_602), correctable(/no/))
  await assert.rejects(failing(-32_603), passing('server_error', false))
  await assert.rejects(failing(-32_000), passing('server_error', false))
  await assert.rejects(failing(-32_601), { name: 'Error', message: /refused/ })
})
