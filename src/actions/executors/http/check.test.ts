import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ActionSpec, HttpExecutorSpec } from '#config/action-spec.ts'
import { capturedLog } from '../../../../test/support/captured-log.ts'
import { chatConfig } from '../../../../test/support/chat-config.ts'
import { manualClock } from '../../../../test/support/clock.ts'
import { httpExecutors } from '../../../../test/support/http-executors.ts'
import { checkExecutors } from '../check.ts'

const hosts = ['desk.example', 'dry.example:8443']
const kind = httpExecutors({ hosts, privateRanges: [] }, manualClock(), capturedLog().log)
const parameters = {
  type: 'object',
  required: ['id'],
  properties: { id: { type: 'string' }, note: { type: 'string' } },
}

/** As a file says it, before its shape is known. */
type Written = Omit<HttpExecutorSpec, 'method'> & { method: string }

function specOf(http: Written): ActionSpec {
  return { description: 'd', parameters, http: http as HttpExecutorSpec }
}

function check(spec: ActionSpec) {
  const permitted = { functions: ['calculate'], egressHosts: hosts, mcpCommands: [], pinned: false }
  return checkExecutors({ ...chatConfig({}), actions: { act: spec } }, permitted)
}

function faultsOf(http: Written): string[] {
  const spec = specOf(http)
  return check(spec).map(({ path, message }) => `${path.slice(3).join('.')}: ${message}`)
}

test('a call that is sound has no faults', () => {
  const http = {
    method: 'POST',
    url: 'https://desk.example/t/{id}?note={note}',
    headers: { 'x-note': '{note}', 'content-type': 'application/merge-patch+json' },
    body: { id: '{id}', items: ['{note}'], query: '{ a { b } }' },
    dryRun: { url: 'https://dry.example:8443/t/{id}' },
  }
  assert.deepEqual(faultsOf(http), [])
})

test('an action of another kind is not ours', () => {
  const spec = { description: 'd', parameters, builtin: 'calculate' }
  assert.deepEqual(check(spec), [])
  assert.equal(kind.executorOf(chatConfig({}), 'act', spec), undefined)
  assert.equal(kind.dryRunOf?.(chatConfig({}), 'act', spec), undefined)
})

const CASES: [Written, string[]][] = [
  [
    { method: 'POST', url: 'https://{id}.example/' },
    ['url: must not have placeholders in its scheme, host or port: who is called is not up to arguments'],
  ],
  [
    { method: 'POST', url: 'https://evil.example/', dryRun: { url: 'https://dry.example/' } },
    [
      'url: the environment does not permit the host evil.example (PARLEY_EGRESS_HOSTS)',
      'dryRun.url: the environment does not permit the host dry.example (PARLEY_EGRESS_HOSTS)',
    ],
  ],
  [
    { method: 'POST', url: 'https://desk.example/{nope}?a={constructor}' },
    [
      'url: the placeholder {nope} is no property of the parameters',
      'url: the placeholder {constructor} is no property of the parameters',
    ],
  ],
  [
    { method: 'POST', url: 'https://desk.example/{note}' },
    ['url: the argument "note" is part of the path, so it has to be required'],
  ],
  [{ method: 'GET', url: 'https://desk.example/', body: {} }, ['body: a GET has none']],
  [
    { method: 'PUT', url: 'https://desk.example/', body: { a: [0, { b: '{x} {id}' }] } },
    ['body.a.1.b: the placeholder {x} is no property of the parameters'],
  ],
  [
    {
      method: 'PUT',
      url: 'https://desk.example/',
      headers: { Authorization: 'Basic x', 'x-a': 'é', 'X-A': '{x}', 'a b': '' },
    },
    [
      'headers.Authorization: is a header that is not up to a config version',
      'headers.x-a: must be printable ASCII',
      'headers.X-A: the placeholder {x} is no property of the parameters',
      'headers.X-A: is there twice',
      'headers.a b: is no name of a header',
    ],
  ],
]
for (const [http, faults] of CASES) {
  test(`${http.method} ${http.url}: ${faults.length} faults, each at its place`, () => {
    assert.deepEqual(faultsOf(http), faults)
    assert.deepEqual(check(specOf(http))[0]?.path.slice(0, 3), ['actions', 'act', 'http'])
  })
}

test('an environment that cannot be read is refused at once', () => {
  const { log } = capturedLog()
  for (const egress of [
    { hosts: ['https://desk.example'], privateRanges: [] },
    { hosts: [], privateRanges: ['10.0.0.0/99'] },
  ]) {
    assert.throws(() => httpExecutors(egress, manualClock(), log), /is not a/)
  }
})

test('the token of a user goes over https, or stays on this machine', () => {
  const message = 'onBehalfOf: needs https: at http://desk.example the token of a user would be sent in the clear'
  const onBehalfOf = 'api://desk/.default'
  assert.deepEqual(faultsOf({ method: 'GET', url: 'http://desk.example/', onBehalfOf }), [message])
  assert.deepEqual(faultsOf({ method: 'GET', url: 'https://desk.example/', onBehalfOf }), [])
  assert.deepEqual(faultsOf({ method: 'GET', url: 'http://desk.example/' }), [])
  const dryRun = { url: 'http://desk.example/dry' }
  assert.deepEqual(faultsOf({ method: 'POST', url: 'https://desk.example/', dryRun, onBehalfOf }), [message])
  for (const host of ['127.0.0.1:9080', 'localhost', '[::1]']) {
    const faults = faultsOf({ method: 'GET', url: `http://${host}/`, onBehalfOf })
    assert.ok(!faults.some((fault) => fault.startsWith('onBehalfOf')), host)
  }
})
