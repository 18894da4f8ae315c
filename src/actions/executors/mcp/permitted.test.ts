import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ActionSpec, McpServerSpec } from '#config/action-spec.ts'
import type { ConfigDocument } from '#config/document.ts'
import { describeFault } from '#config/fault.ts'
import { systemClock } from '#platform/clock.ts'
import { createEgress } from '#platform/egress/egress.ts'
import { capturedLog } from '../../../../test/support/captured-log.ts'
import { createMcpExecutors } from './mcp.ts'
import { checkTool } from './permitted.ts'

const command = ['node', 'server.ts', '--read-only']
const hosts = ['tools.example', 'other.example:8443']
const { permits } = createEgress({ hosts, privateRanges: [], clock: systemClock })
const permissions = { permits, commands: [command] }
const kind = createMcpExecutors({ fetch, clock: systemClock, log: capturedLog().log, ...permissions })

function documentOf(servers: Record<string, McpServerSpec>, uses: [server: string, tool?: string][]): ConfigDocument {
  const actions = uses.map(([server, tool = 'status'], index): [string, ActionSpec] => {
    return [`a${index}`, { description: 'test', parameters: { type: 'object' }, mcp: { server, tool } }]
  })
  const rest = { description: 'test', models: {}, routes: {}, specialists: {} }
  return { ...rest, actions: Object.fromEntries(actions), mcpServers: servers }
}

/** All faults, as people read them. */
function faultsOf(servers: Record<string, McpServerSpec>, uses: [server: string, tool?: string][] = [['s']]): string[] {
  const document = documentOf(servers, uses)
  const faults = Object.entries(document.actions ?? {}).flatMap(([name, spec]) =>
    checkTool(document, name, spec, permissions),
  )
  return faults.map(({ path, message }) =>
    describeFault('', { path: path.join('.'), line: 0, column: 0, message }).slice(5),
  )
}

test('a host that is listed, with its port or for all ports, may be called', () => {
  for (const url of ['https://tools.example/mcp', 'http://TOOLS.example:9000/', 'https://other.example:8443/mcp']) {
    assert.deepEqual(faultsOf({ s: { url } }), [], url)
  }
})

test('no other host, part of a host, scheme, credentials, query or fragment', () => {
  const faultOf = (url: string) => faultsOf({ s: { url } }).join()
  for (const url of [
    'https://example/',
    'https://a.tools.example/',
    'https://tools.example.net/',
    'https://other.example/',
  ]) {
    assert.match(faultOf(url), /^mcpServers\.s\.url: names a host that the environment does not permit/, url)
  }
  for (const url of [
    'https://u@tools.example/',
    'https://:p@tools.example/',
    'https://tools.example/?a',
    'https://tools.example/#a',
  ]) {
    assert.match(faultOf(url), /must not carry credentials, a query or a fragment/, url)
  }
  for (const url of ['file:///etc/passwd', 'ftp://tools.example/', 'nonsense']) {
    assert.match(faultOf(url), /is not an http\(s\) address/, url)
  }
})

test('a command is permitted word by word, and not one word more, less or other', () => {
  assert.deepEqual(faultsOf({ s: { command } }), [])
  const others = [
    [...command, '--verbose'],
    command.slice(0, 2),
    ['node', 'server.ts', '--read-onl'],
    ['node server.ts --read-only'],
    [],
  ]
  for (const other of others) {
    assert.deepEqual(faultsOf({ s: { command: other } }), [
      'mcpServers.s.command: is not permitted by the environment, word by word',
    ])
  }
})

test('a server has one place, and a token only where there is a header for it', () => {
  const place = ['mcpServers.s: needs either a url or a command']
  assert.deepEqual(faultsOf({ s: {} }), place)
  assert.deepEqual(faultsOf({ s: { command, url: 'https://tools.example/' } }), place)
  assert.match(
    faultsOf({ s: { command, onBehalfOf: 'api://a/.default' } }).join(),
    /^mcpServers\.s\.onBehalfOf: goes with a url/,
  )
})

test('a server that is not there is named, with those that are', () => {
  assert.deepEqual(faultsOf({}, [['s']]), ['actions.a0.mcp.server: no MCP server "s"; there are no mcpServers'])
  const servers = { tools: { command } }
  assert.deepEqual(faultsOf(servers, [['toString']]), [
    'actions.a0.mcp.server: no MCP server "toString"; mcpServers are: tools',
  ])
})

test('a fault of a server is told once, however many actions use it', () => {
  assert.equal(faultsOf({ s: {} }, [['s'], ['s'], ['s']]).length, 1)
})

test('the name of a tool is one that the protocol allows', () => {
  const faultOf = (tool: string) => faultsOf({ s: { command } }, [['s', tool]]).join()
  for (const tool of ['a', 'files.read', 'get-status_2', 'x'.repeat(128)]) assert.equal(faultOf(tool), '', tool)
  for (const tool of ['', 'x'.repeat(129), 'a b', 'a\nb', 'ä'])
    assert.match(faultOf(tool), /is not a name of a tool/, tool)
})

test('what was never valid is not executed either', () => {
  const never: Record<string, McpServerSpec>[] = [
    {},
    { s: {} },
    { s: { command: ['sh'] } },
    { s: { url: 'https://elsewhere.example/' } },
  ]
  for (const servers of never) {
    const document = documentOf(servers, [['s']])
    const spec = document.actions?.a0
    assert.ok(spec)
    assert.throws(() => kind.executorOf(document, 'a0', spec), /does not permit/)
  }
})

test('an action of another kind is none of its business', () => {
  const document = documentOf({}, [])
  const spec: ActionSpec = { description: 'test', parameters: { type: 'object' }, builtin: 'arithmetic' }
  assert.equal(kind.executorOf(document, 'a0', spec), undefined)
  assert.deepEqual(checkTool(document, 'a0', spec, permissions), [])
})

test('the token of a user is not sent to a server in the clear', () => {
  const onBehalfOf = 'api://a/.default'
  assert.deepEqual(faultsOf({ s: { url: 'http://tools.example/mcp', onBehalfOf } }), [
    'mcpServers.s.onBehalfOf: needs https: at http://tools.example the token of a user would be sent in the clear',
  ])
  assert.deepEqual(faultsOf({ s: { url: 'https://tools.example/mcp', onBehalfOf } }), [])
})
