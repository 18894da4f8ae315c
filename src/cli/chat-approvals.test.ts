import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RunView } from '#actions/actions.ts'
import { quietHost } from '../../test/support/cli-run.ts'
import { Approvals } from './chat-approvals.ts'
import { ChatView } from './chat-view.ts'
import { createClient } from './client.ts'
import type { Person } from './command.ts'
import { Refused } from './faults.ts'

const approval = { roles: ['Action.Approver'], expiresAt: 0, preview: null }
const waiting = { id: 'run_1', action: 'pay', status: 'awaiting-approval', arguments: { to: 'Ann' }, approval } as const

interface Scene {
  /** The run as it is each time that it is looked at; the last stays. */
  runs: object[]
  mayDecide?: boolean
  /** What becomes of the decisions, in order; done where there is nothing. */
  refusals?: (string | undefined)[]
  ask: Person['ask']
  /** Where a question has to be seen before it is answered; `ask` where there is nothing. */
  confirm?: Person['confirm']
  lookMs?: readonly number[]
}

function approvalsOf({ runs, mayDecide = true, refusals = [], ask, confirm = ask, lookMs = [] }: Scene) {
  const decided: unknown[] = []
  let err = ''
  const { signal } = new AbortController()
  const answerTo = (method: string, path: string, body: unknown): unknown => {
    if (path.includes('whose=to-approve')) return { items: mayDecide ? [{ id: 'run_1' }] : [] }
    if (path.endsWith('/stream')) return { ...runs.at(-1), status: 'succeeded', result: 1, message: null, settledAt: 5 }
    if (method === 'GET') return runs.length > 1 ? runs.shift() : runs[0]
    decided.push([path.split('/').at(-1), body])
    const code = refusals.shift()
    if (code === undefined) return {}
    const type = code === 'unreachable' ? 'server_error' : 'conflict_error'
    throw new Refused({ error: { code, message: `${code}.`, type, param: null, request_id: null } })
  }
  const client = {
    ...createClient({ url: undefined, token: undefined, signal }),
    ask: async <Body>(method: string, path: string, asked?: { body?: unknown }) => ({
      ...{ status: 200, etag: null },
      body: answerTo(method, path, asked?.body) as Body,
    }),
  }
  const host = {
    ...quietHost(),
    ...{ url: undefined, token: undefined, out: () => {} },
    err: (text: string) => {
      err += text
    },
    person: { ask, confirm },
  }
  const approvals = new Approvals({
    ...{ client, host, view: new ChatView(host, false), signal },
    ...{ lookMs, retryMs: [1, 1] },
  })
  const hear = (status: RunView['status'], output?: string) =>
    approvals.hear({ id: 'run_1', action: 'pay', step: 0, index: 0, status, ...(output !== undefined && { output }) })
  return { approvals, hear, decided, said: () => err }
}

const yes = async () => 'y'

test('what was edited meanwhile is shown anew and asked again, by its new hash', async () => {
  const runs = [
    { ...waiting, argumentsHash: 'a' },
    { ...waiting, arguments: { to: 'Bob' }, argumentsHash: 'b' },
  ]
  const { approvals, hear, decided, said } = approvalsOf({ runs, refusals: ['approval_changed'], ask: yes })
  hear('awaiting-approval')
  const [settled] = await approvals.rest()
  assert.deepEqual(decided, [
    ['approve', { hash: 'a' }],
    ['approve', { hash: 'b' }],
  ])
  assert.match(said(), /"Ann".+approval_changed\..+"Bob".+< pay succeeded: 1\n$/s)
  assert.equal(settled?.settledAt, 5)
})

test('what was decided and is told of by the turn is not told again', async () => {
  const { approvals, hear, decided, said } = approvalsOf({ runs: [{ ...waiting, argumentsHash: 'a' }], ask: yes })
  hear('awaiting-approval')
  while (decided.length === 0) await new Promise(setImmediate)
  hear('succeeded', '1')
  assert.deepEqual(await approvals.rest(), [])
  assert.doesNotMatch(said(), /succeeded/)
})

test('a question is withdrawn when somebody else was faster', async () => {
  const asked = Promise.withResolvers<void>()
  const ask: Person['ask'] = (_, signal) =>
    new Promise((resolve) => {
      signal.addEventListener('abort', () => resolve(undefined))
      asked.resolve()
    })
  const { approvals, hear, decided } = approvalsOf({ runs: [waiting], ask })
  hear('awaiting-approval')
  await asked.promise
  hear('queued')
  assert.deepEqual([await approvals.rest(), decided], [[], []])
})

test('who may not decide is not asked, and a refusal of the process is told', async () => {
  const denied = approvalsOf({ runs: [waiting], mayDecide: false, ask: () => assert.fail('asked') })
  denied.hear('awaiting-approval')
  assert.deepEqual(await denied.approvals.rest(), [])
  assert.equal(denied.said(), 'pay waits for approval, by Action.Approver: run_1\n')
  const refused = approvalsOf({ runs: [waiting], refusals: ['forbidden'], ask: yes })
  refused.hear('awaiting-approval')
  assert.deepEqual(await refused.approvals.rest(), [])
  assert.match(refused.said(), /forbidden\.\n$/)
})

test('no word leaves it undecided; after the turn an open question is asked once more', async () => {
  const undecided = approvalsOf({ runs: [waiting], ask: async () => undefined })
  undecided.hear('awaiting-approval')
  await undecided.approvals.rest()
  assert.match(undecided.said(), /Nothing is decided: run_1 goes on waiting\.\n$/)
  let times = 0
  const asked = Promise.withResolvers<void>()
  const { approvals, hear, decided } = approvalsOf({
    runs: [waiting],
    ask: (_, signal) => {
      times += 1
      asked.resolve()
      if (times > 1) return Promise.resolve('y')
      return new Promise((resolve) => signal.addEventListener('abort', () => resolve(undefined)))
    },
  })
  hear('awaiting-approval')
  await asked.promise
  await approvals.rest()
  assert.deepEqual([times, decided.length], [2, 1])
})

/** Answers nothing until it is withdrawn, and then what is next. */
function hesitant(...next: string[]) {
  let times = 0
  const asked = Promise.withResolvers<void>()
  const confirm: Person['confirm'] = (_, signal) => {
    times += 1
    asked.resolve()
    if (times > 1) return Promise.resolve(next.shift())
    return new Promise((resolve) => signal.addEventListener('abort', () => resolve(undefined)))
  }
  return { asked: asked.promise, confirm, ask: () => assert.fail('a decision that was not seen') }
}

test('what a run would do is shown when it is known, and then it is asked once more', async () => {
  const foreseen = { ...waiting, approval: { ...approval, preview: { costs: 7 } } }
  const { ask, confirm } = hesitant('y')
  const { approvals, hear, said, decided } = approvalsOf({
    ...{ runs: [waiting, waiting, foreseen], ask, confirm },
    lookMs: [1, 1],
  })
  hear('awaiting-approval')
  while (decided.length === 0) await new Promise(setImmediate)
  await approvals.rest()
  assert.match(said(), /^pay waits.+"Ann".+pay waits.+"Ann".+It would do: \{\n {2}"costs": 7\n\}\n/s)
})

test('what is edited while it is asked about is shown anew, and asked again', async () => {
  const runs = [
    { ...waiting, argumentsHash: 'a' },
    { ...waiting, arguments: { to: 'Bob' }, argumentsHash: 'b' },
  ]
  const { asked, ask, confirm } = hesitant('y')
  const { approvals, hear, decided, said } = approvalsOf({ runs, ask, confirm })
  hear('awaiting-approval')
  await asked
  hear('awaiting-approval')
  while (decided.length === 0) await new Promise(setImmediate)
  await approvals.rest()
  assert.deepEqual(decided, [['approve', { hash: 'b' }]])
  assert.match(said(), /"Ann".+"Bob"/s)
})

test('a yes outlives a line that is lost, also where it arrived', async () => {
  const run = { ...waiting, argumentsHash: 'a' }
  const lost = approvalsOf({ runs: [run], refusals: ['unreachable', 'unreachable'], ask: yes })
  lost.hear('awaiting-approval')
  const [settled] = await lost.approvals.rest()
  assert.deepEqual([lost.decided.length, settled?.settledAt], [3, 5])
  assert.match(lost.said(), /\}\nunreachable\. It is tried again\.\n< pay succeeded: 1\n$/)
  const runs = [run, { ...run, status: 'running' }]
  const arrived = approvalsOf({ runs, refusals: ['unreachable', 'run_state'], ask: yes })
  arrived.hear('awaiting-approval')
  assert.equal((await arrived.approvals.rest()).length, 1)
})
