import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ModelsDocument } from './models-document.ts'
import { promptRoom } from './prompt-room.ts'
import { checkRoutes } from './route-check.ts'
import type { ModelSpec } from './schema.ts'

const MODEL: ModelSpec = {
  ...{ provider: 'offline', contextWindow: 1000, continuation: 'restart', price: { input: 0, output: 0 } },
}
const ROUTES = { main: { models: ['first', 'second'] } }
const LOOK = { description: 'Looks', parameters: { type: 'object' } }

function faultsOf(
  models: { first?: Partial<ModelSpec>; second?: Partial<ModelSpec> },
  specialist: { instructions?: string; actions?: string[] } = {},
  more: Partial<ModelsDocument> = {},
): string[] {
  const specialists = { apollo: { instructions: 'Be brief.', route: 'main', ...specialist } }
  const specs = { first: { ...MODEL, ...models.first }, second: { ...MODEL, ...models.second } }
  return checkRoutes({ models: specs, routes: ROUTES, specialists, actions: { look: LOOK }, ...more }).map(
    ({ path, message }) => `${path.join('.')} ${message}`,
  )
}

test('a fallback takes the tools that the first model takes', () => {
  assert.deepEqual(faultsOf({}, { actions: ['look'] }), [])
  const misfit = 'routes.main.models.1 second cannot stand in: it takes no tools, and first does'
  assert.deepEqual(faultsOf({ second: { tools: false } }), [misfit])
  assert.deepEqual(faultsOf({ first: { tools: false }, second: { tools: false } }), [])
  assert.deepEqual(faultsOf({ first: { tools: false } }), [])
})

test('a specialist with actions is answered by a model that takes them', () => {
  assert.deepEqual(faultsOf({ first: { tools: false } }, { actions: ['look'] }), [
    'specialists.apollo.actions cannot be called by first: it takes no tools',
  ])
  assert.deepEqual(faultsOf({ first: { tools: false } }, { actions: [] }), [])
})

test('a model that asks for its own reasoning takes no history of others, nor calls whose reasoning is not kept', () => {
  assert.deepEqual(faultsOf({ second: { reasoningHistory: 'required' } }), [
    'routes.main.models.1 second cannot stand in: it asks for its own reasoning in the history, which holds what others have said',
  ])
  assert.deepEqual(faultsOf({ first: { reasoningHistory: 'required' } }), [])
  assert.deepEqual(faultsOf({ first: { reasoningHistory: 'required' } }, { actions: ['look'] }), [
    'specialists.apollo.actions cannot be called by first: it asks for its reasoning behind earlier calls, which is not kept',
  ])
})

test('a window may be smaller than that of the first, as long as what is never left out fits in', () => {
  // A window of 1000 keeps 250 free; beside 64 for a message, 686 tokens are left: 2744 characters.
  const [most, more] = ['x'.repeat(2744), 'x'.repeat(2745)]
  const large = { contextWindow: 100_000 }
  assert.equal(promptRoom(MODEL), 750)
  assert.deepEqual(faultsOf({ first: large }, { instructions: most }), [])
  assert.deepEqual(faultsOf({ first: large }, { instructions: more }), [
    'specialists.apollo.instructions with the actions take 751 tokens, more than the window of second has beside the answer: 750',
  ])
  assert.equal(faultsOf({}, { instructions: more }).length, 2)
  assert.equal(faultsOf({ first: large }, { instructions: most, actions: ['look'] }).length, 1)
  assert.equal(faultsOf({ first: large, second: { maxOutput: 1000 } }).length, 1)
})

test('names that lead nowhere are told by others', () => {
  assert.deepEqual(faultsOf({}, { actions: ['gone', 'constructor'] }, { routes: {} }), [])
  assert.deepEqual(faultsOf({ first: { tools: false } }, { actions: ['gone', 'constructor'] }), [])
  assert.deepEqual(faultsOf({}, {}, { routes: { main: { models: ['gone', 'constructor'] } } }), [])
})
