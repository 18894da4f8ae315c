import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeFault } from './fault.ts'
import { type Check, loadVersion } from './load.ts'
import { checkRollout } from './rollout-check.ts'

const REST = `description: For a test
models: { m: { provider: offline, contextWindow: 1000, continuation: restart, price: { input: 0, output: 0 } } }
routes: { main: { models: [m] } }
specialists: { apollo: { title: Apollo, instructions: Be brief., route: main } }
`

function faultsOf(text: string, ...checks: Check[]): string[] {
  const loaded = loadVersion('v1', Buffer.from(REST + text), 'yaml', checks)
  return 'faults' in loaded ? loaded.faults.map((fault) => describeFault('v1', fault)) : []
}

const tool = (by: string) => `  look: { description: Looks, parameters: { type: object }, ${by} }\n`

test('an MCP server or OpenAPI document that is not there is named, with its place and those there are', () => {
  const servers = `mcpServers: { desk: { url: 'https://desk.example/' } }\n`
  assert.deepEqual(faultsOf(`${servers}actions:\n${tool('mcp: { server: dosk, tool: open }')}`), [
    'v1:7:68 actions.look.mcp.server: no MCP server "dosk"; MCP servers are: desk',
  ])
  assert.deepEqual(faultsOf(`actions:\n${tool('openapi: { document: desk, operation: open }')}`), [
    'v1:6:72 actions.look.openapi.document: no OpenAPI document "desk"; there are no OpenAPI documents',
  ])
})

test('what has a fault of its own is not complained of again by those who use it, nor given to a check', () => {
  const check: Check = ({ mcpServers, actions }) => {
    assert.deepEqual([Object.keys(mcpServers ?? {}), Object.keys(actions ?? {})], [[], []])
    return []
  }
  const text = `mcpServers: { desk: { url: 5 } }\nactions:\n${tool('mcp: { server: desk, tool: open }')}`
  assert.deepEqual(faultsOf(text, check), ['v1:5:23 mcpServers.desk.url: must be a string'])
})

test('a rollout without its shape is told as such, and not looked into', () => {
  const check: Check = (document) => checkRollout(document, { floors: [{ weight: 5, conversations: 50 }], bakeMs: 10 })
  assert.deepEqual(faultsOf('rollout: { steps: 5 }\n', check), ['v1:5:12 rollout.steps: must be a list'])
  assert.deepEqual(faultsOf('rollout: { bakeMs: 5, steps: [{ weight: 5, conversations: 50 }] }\n', check), [
    'v1:5:12 rollout.bakeMs: must be at least 10, as the environment asks (PARLEY_ROLLOUT_BAKE_MS)',
  ])
})
