import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ActionSpec } from '../action-spec.ts'
import type { Weakening } from '../diff.ts'
import type { ConfigDocument } from '../document.ts'
import { diffConfigs } from './diff-configs.ts'

const ACTION: ActionSpec = { description: 'Pays', builtin: 'pay', parameters: { type: 'object' } }
const EMPTY = { description: '', models: {}, routes: {}, specialists: {} }

function weakenings(from: Partial<ConfigDocument>, to: Partial<ConfigDocument>): readonly Weakening[] {
  const named = (part: Partial<ConfigDocument>) => ({ name: 'v', document: { ...EMPTY, ...part } })
  return diffConfigs(named(from), named(to)).weakenings
}

function ofAction(from: Partial<ActionSpec>, to: Partial<ActionSpec>): string[] {
  const [before, after] = [{ actions: { pay: { ...ACTION, ...from } } }, { actions: { pay: { ...ACTION, ...to } } }]
  return weakenings(before, after).map(({ kind, path, message }) => `${kind} ${path}: ${message}`)
}

/** Weakens in this direction, in these words, and not in the other. */
function weakens(from: Partial<ActionSpec>, to: Partial<ActionSpec>, expected: string): void {
  assert.deepEqual(ofAction(from, to), [expected])
  assert.deepEqual(ofAction(to, from), [])
}

test('less of a person’s word is an approval weakened', () => {
  const by = (path: string) => `approval actions.pay.${path}: pay`
  weakens({ approval: {} }, {}, `${by('approval')} needs no approval any more.`)
  const fewer = `${by('approval.when')} needs approval for fewer calls than before.`
  weakens({ approval: {} }, { approval: { when: { to: ['x'] } } }, fewer)
  weakens({ approval: { when: { to: ['x', 'y'] } } }, { approval: { when: { to: ['y'] } } }, fewer)
  weakens({ approval: { when: { to: ['x'] } } }, { approval: { when: { to: ['x'], by: [1] } } }, fewer)
  assert.deepEqual(ofAction({ approval: { when: { to: ['x'] } } }, { approval: { when: { by: [1] } } }), [fewer])
  weakens(
    { approval: { unlessRoles: ['Admin'] } },
    { approval: { unlessRoles: ['Admin', 'Chat.User'] } },
    `${by('approval.unlessRoles')} needs no approval for callers who are Chat.User.`,
  )
  weakens(
    { approval: {} },
    { approval: { roles: ['Action.Approver', 'Admin'] } },
    `${by('approval.roles')} can be approved by Admin, too.`,
  )
  weakens(
    { approval: {} },
    { approval: { ownAllowed: true } },
    `${by('approval.ownAllowed')} can be approved by whoever has asked for it.`,
  )
  weakens(
    { approval: {} },
    { approval: { expiresAfterMs: 86_400_001 } },
    `${by('approval.expiresAfterMs')} waits for approval 86400001 ms instead of 86400000 ms.`,
  )
  weakens(
    { approval: { editable: ['a'] } },
    { approval: { editable: ['a', 'b'] } },
    `${by('approval.editable')} lets whoever approves change b, too.`,
  )
})

test('what keeps approval out of the way, or lets an effect happen again, weakens it, too', () => {
  const by = (path: string) => `approval actions.pay.${path}: pay`
  assert.deepEqual(ofAction({}, { access: 'read' }), [
    `${by('access')} is said to change nothing; before, it was treated as one that does.`,
    `${by('effect')} may be tried again after its effect has begun; before, it was done at most once.`,
  ])
  assert.deepEqual(ofAction({ access: 'read' }, {}), [])
  weakens(
    {},
    { output: 'trusted' },
    `${by('output')} answers what is trusted; before, calls that change something needed approval after it.`,
  )
  weakens(
    {},
    { afterUntrusted: 'allowed' },
    `${by('afterUntrusted')} needs no approval any more once untrusted output is in the context.`,
  )
  weakens(
    {},
    { effect: 'idempotent' },
    `${by('effect')} may be tried again after its effect has begun; before, it was done at most once.`,
  )
  weakens({ roles: ['Admin'] }, {}, `${by('roles')} may be called by everybody; before, by Admin.`)
  weakens({ roles: ['Admin'] }, { roles: ['Admin', 'Chat.User'] }, `${by('roles')} may be called by Chat.User, too.`)
})

test('what a version left to its default is no weakening once it is said', () => {
  const said: Partial<ActionSpec> = {
    ...{ access: 'write', output: 'untrusted', afterUntrusted: 'approval', effect: 'at-most-once' },
    ...{ timeoutMs: 30_000, retries: 5 },
  }
  assert.deepEqual(ofAction({}, said), [])
  assert.deepEqual(ofAction(said, {}), [])
})

test('an added action weakens when it writes and not every call waits for somebody else', () => {
  const added = (action: Partial<ActionSpec>) =>
    weakenings({}, { actions: { pay: { ...ACTION, ...action } } }).map(({ path }) => path)
  assert.deepEqual(added({}), ['actions.pay'])
  assert.deepEqual(added({ approval: { when: { to: ['x'] } } }), ['actions.pay'])
  assert.deepEqual(added({ approval: { unlessRoles: ['Chat.User'] } }), ['actions.pay'])
  assert.deepEqual(added({ approval: { ownAllowed: true } }), ['actions.pay'])
  assert.deepEqual(added({ approval: { editable: ['to'] } }), [])
  assert.deepEqual(added({ access: 'read' }), [])
  assert.deepEqual(weakenings({ actions: { pay: ACTION } }, {}), [])
})

test('an action that does something else than before weakens, unless each call waits or anybody can see that it only reads', () => {
  const http = { method: 'POST', url: 'https://desk.example/notes', body: { text: '{text}' } } as const
  const to = (from: Partial<ActionSpec>, action: Partial<ActionSpec>) =>
    ofAction({ builtin: undefined, ...from }, { builtin: undefined, ...action })
  const message = "pay does something else than before, and not every call of it waits for somebody else's approval."
  const other = [`approval actions.pay.http: ${message}`]
  assert.deepEqual(to({ http }, { http: { ...http, url: 'https://desk.example/payments' } }), other)
  assert.deepEqual(to({ http }, { http: { ...http, method: 'DELETE' } }), other)
  assert.deepEqual(to({ http }, { http: { ...http, body: { text: 'paid' } } }), other)
  assert.deepEqual(to({ http }, { http: { ...http, headers: { 'x-do': 'pay' } } }), other)
  assert.deepEqual(to({ http }, { http: { ...http, headers: {} } }), [])
  assert.deepEqual(ofAction({}, { builtin: 'refund' }), [`approval actions.pay.builtin: ${message}`])
  const mcp = { server: 's', tool: 't' }
  assert.deepEqual(to({ mcp }, { mcp: { ...mcp, tool: 'u' } }), [`approval actions.pay.mcp: ${message}`])
  const openapi = { document: 'd', operation: 'o' }
  assert.deepEqual(to({ openapi }, { openapi: { ...openapi, operation: 'p' } }), [
    `approval actions.pay.openapi: ${message}`,
  ])
  const approval = {}
  assert.deepEqual(to({ http, approval }, { http: { ...http, method: 'DELETE' }, approval }), [])
  const partly = { when: { text: ['x'] } }
  assert.deepEqual(to({ http, approval: partly }, { http: { ...http, method: 'PUT' }, approval: partly }), other)

  const reading = { access: 'read', http: { method: 'GET', url: 'https://desk.example/notes' } } as const
  const elsewhere = { ...reading, http: { ...reading.http, url: 'https://desk.example/tickets' } }
  assert.deepEqual(to(reading, elsewhere), [])
  assert.deepEqual(to(reading, { access: 'read', http: { ...reading.http, method: 'DELETE' } }), other)
})

test('an added action that is said to read weakens where it is seen not to', () => {
  const http = { method: 'GET', url: 'https://desk.example/notes' } as const
  const [known, writing] = [ACTION, { ...ACTION, builtin: undefined, http }]
  const added = (action: Partial<ActionSpec>) =>
    weakenings(
      { actions: { known, writing } },
      { actions: { known, writing, look: { ...ACTION, builtin: 'look', access: 'read', ...action } } },
    ).map(({ path }) => path)
  assert.deepEqual(added({}), [])
  assert.deepEqual(added({ builtin: 'pay' }), ['actions.look.access'])
  assert.deepEqual(added({ http }), ['actions.look.access'])
  assert.deepEqual(added({ http: { ...http, url: 'https://desk.example/tickets' } }), [])
  assert.deepEqual(added({ http: { ...http, method: 'POST' } }), ['actions.look.http.method'])
  assert.deepEqual(added({ http: { ...http, method: 'POST' }, approval: {} }), [])
})

test('new hosts, accounts, commands and rights of users are told, each once', () => {
  const model = { contextWindow: 1000, continuation: 'restart', price: { input: 0, output: 0 } } as const
  const before = {
    models: { a: { ...model, provider: 'openai', model: 'x' } },
    actions: { one: { ...ACTION, builtin: undefined, http: { method: 'GET', url: 'https://desk.example/a/{id}' } } },
    mcpServers: { tools: { command: ['npx', 'tools'] } },
  } as unknown as Partial<ConfigDocument>
  const after = {
    models: {
      ...before.models,
      b: { ...model, provider: 'openai-compatible', model: 'x' },
      c: { ...model, provider: 'azure-openai', deployment: 'x' },
      d: { ...model, provider: 'openai-compatible', model: 'x', baseUrl: 'https://gpu.example/v1' },
      e: { ...model, provider: 'offline' },
    },
    actions: {
      one: {
        ...ACTION,
        http: {
          ...{ method: 'GET', url: 'https://desk.example/b', onBehalfOf: 'api://desk/.default' },
          dryRun: { url: 'http://desk.example/b' },
        },
      },
    },
    mcpServers: {
      tools: { command: ['npx', 'tools', '--all'] },
      web: { url: 'https://mcp.example/mcp' },
    },
    openapi: {
      api: {
        url: 'https://docs.example/api.json',
        document: {
          servers: [{ url: 'https://{region}.api.example/', variables: { region: { default: 'eu' } } }, { url: '/v1' }],
          paths: {
            '/a': { servers: [{ url: 'https://a.example' }], get: { servers: [{ url: 'https://b.example' }] } },
          },
        },
      },
      same: { url: 'https://docs.example/other.json', server: 'https://desk.example/api' },
    },
  } as unknown as Partial<ConfigDocument>
  assert.deepEqual(
    weakenings(before, after)
      .filter(({ kind }) => kind === 'host')
      .map(({ kind, path, message }) => `${kind} ${path}: ${message}`),
    [
      'host models.c.provider: Conversations go to the Azure OpenAI account.',
      'host models.d.baseUrl: Conversations go to https://gpu.example.',
      'host actions.one.http.dryRun.url: Calls of actions go to http://desk.example.',
      'host actions.one.http.onBehalfOf: Actions use the rights of users for api://desk/.default.',
      'host mcpServers.tools.command: The command "npx" "tools" "--all" is started.',
      'host mcpServers.web.url: Calls of actions go to https://mcp.example.',
      'host openapi.api.url: Calls of actions go to https://docs.example.',
      'host openapi.api.document.servers: Calls of actions go to https://eu.api.example.',
      'host openapi.api.document.servers: Calls of actions go to https://a.example.',
      'host openapi.api.document.servers: Calls of actions go to https://b.example.',
    ],
  )
  assert.deepEqual(
    weakenings(after, before).flatMap(({ kind, path }) => (kind === 'host' ? path : [])),
    ['mcpServers.tools.command'],
  )
})

test('limits that rise and pins that go are told', () => {
  const by = (path: string) => `limit actions.pay.${path}: actions.pay.${path}`
  weakens({}, { timeoutMs: 30_001 }, `${by('timeoutMs')} is raised from 30000 to 30001.`)
  weakens({ retries: 2 }, {}, `${by('retries')} is raised from 2 to 5.`)
  const http = { method: 'GET', url: 'https://desk.example/' } as const
  const limit = 'http.maxResponseBytes'
  weakens({ http }, { http: { ...http, maxResponseBytes: 300_000 } }, `${by(limit)} is raised from 262144 to 300000.`)
  const mcp = { server: 's', tool: 't' }
  const unpinned = 'limit actions.pay.mcp.pin: actions.pay is no longer held to the tool that was reviewed.'
  weakens({ mcp: { ...mcp, pin: 'a'.repeat(64) } }, { mcp }, unpinned)
  assert.deepEqual(ofAction({ mcp: { ...mcp, pin: 'a' } }, { mcp: { ...mcp, pin: 'b' } }), [])

  const route = { models: ['m'] }
  const paths = (from: Partial<ConfigDocument>, to: Partial<ConfigDocument>) =>
    weakenings(from, to).map(({ path }) => path)
  assert.deepEqual(paths({ routes: { r: route } }, { routes: { r: { ...route, stallTimeoutMs: 20_001 } } }), [
    'routes.r.stallTimeoutMs',
  ])
  const model = {
    provider: 'offline',
    contextWindow: 1000,
    continuation: 'restart',
    price: { input: 0, output: 0 },
  } as const
  assert.deepEqual(
    weakenings({ models: { m: { ...model, concurrency: 4 } } }, { models: { m: model } }).map(({ message }) => message),
    ['models.m.concurrency is no longer limited; it was 4.'],
  )
  assert.deepEqual(paths({ models: { m: model } }, { models: { m: { ...model, concurrency: 4 } } }), [])
})

test('arguments of an action that writes keep their bounds', () => {
  const parameters = (amount: object, more: object = {}) => ({
    parameters: { type: 'object', properties: { amount }, ...more },
  })
  const at = (keyword: string) => {
    const place = `actions.pay.parameters.${keyword}`
    return `limit ${place}: ${place} lets through more than before.`
  }
  const amount = 'properties.amount'
  weakens(parameters({ maximum: 100 }), parameters({ maximum: 101 }), at(`${amount}.maximum`))
  weakens(parameters({ minimum: 1 }), parameters({}), at(`${amount}.minimum`))
  weakens(parameters({ enum: ['a'] }), parameters({ enum: ['b', 'a'] }), at(`${amount}.enum`))
  weakens(parameters({}, { additionalProperties: false }), parameters({}), at('additionalProperties'))
  assert.equal(ofAction(parameters({ pattern: '^a$' }), parameters({ pattern: '^b$' })).length, 1)
  assert.deepEqual(
    ofAction({ access: 'read', ...parameters({ maximum: 1 }) }, { access: 'read', ...parameters({}) }),
    [],
  )
})

test('a rollout that holds back less than that of the version before is told', () => {
  const steps = [
    { weight: 5, conversations: 50 },
    { weight: 50, conversations: 100 },
  ]
  const rollout = (from: ConfigDocument['rollout'], to: ConfigDocument['rollout']) =>
    weakenings({ ...(from && { rollout: from }) }, { ...(to && { rollout: to }) }).map(
      ({ kind, path, message }) => `${kind} ${path}: ${message}`,
    )
  const [first = { weight: 0, conversations: 0 }, second = first] = steps
  assert.deepEqual(rollout({ steps }, { steps: [first, { ...second, weight: 51 }] }), [
    'limit rollout.steps.1: Step 2 of the rollout reaches more, or asks for less evidence.',
  ])
  assert.deepEqual(rollout({ steps }, { steps: [{ ...first, conversations: 49 }, second] }), [
    'limit rollout.steps.0: Step 1 of the rollout reaches more, or asks for less evidence.',
  ])
  assert.deepEqual(rollout({ steps }, { steps: [first] }), [
    'limit rollout.steps: The rollout has fewer steps than before.',
  ])
  assert.deepEqual(rollout({ steps, bakeMs: 5 }, undefined), [
    'limit rollout.steps: The steps of the rollout are left to the environment.',
    'limit rollout.bakeMs: How long the last step is watched is left to the environment.',
  ])
  assert.deepEqual(rollout({ bakeMs: 5 }, { bakeMs: 4 }), [
    'limit rollout.bakeMs: The last step is watched for 4 ms instead of 5 ms.',
  ])
  assert.deepEqual(
    rollout({ steps }, { steps: [{ weight: 1, conversations: 50 }, second, { weight: 90, conversations: 1 }] }),
    [],
  )
  assert.deepEqual(rollout(undefined, { steps, bakeMs: 0 }), [])
})
