import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Actions } from '../../../src/actions/actions.ts'
import type { ActionSpec } from '../../../src/config/action-spec.ts'
import type { ConfigVersion } from '../../../src/config/document.ts'
import { partitionOf } from '../../../src/identity/principal.ts'
import { actionSpec, callOf, type Ground, person, settledRun, until, versionOf } from '../../support/runs-at-hand.ts'
import { ScriptedServing } from '../../support/scripted-serving.ts'

const specs: Record<string, ActionSpec> = {
  do_it: actionSpec('do'),
  ask_first: actionSpec('do', { approval: { expiresAfterMs: 60_000 } }),
}
const named = (name: string, actions = specs): ConfigVersion => ({ ...versionOf(actions), name })
const owner = person('ada')
const approver = person('carl', ['Action.Approver'])
const counted = { arm: 'canary', cohort: 'r1.0', unit: 'conv_1' } as const

/** A rollout from `v1` to `v2`, all of whose actions are the builtin `do`. */
function rollout(candidate: Record<string, ActionSpec> = specs): ScriptedServing {
  const serving = new ScriptedServing(named('v1'), named('v2', candidate))
  serving.draw = () => 'canary'
  return serving
}

/** What runs have to do with the versions that serve them, on each set of engines. */
export function servingSuite(ground: () => Ground): void {
  const replica = (serving: ScriptedServing, more: { works?: boolean; done?: string[] } = {}) => {
    const { works = true, done = [] } = more
    return ground().actions({ serving, works, functions: { do: (_, { key }) => done.push(key) } })
  }
  const told = (run: string) => ground().settled.filter((fact) => fact.run === run)

  async function approve(actions: Actions, run: string) {
    const { argumentsHash } = await actions.get(approver, run)
    return actions.approve(approver, run, { hash: argumentsHash })
  }

  describe('runs and the versions that serve them', () => {
    test('after a rollback, what was approved and not begun is approved anew', async () => {
      const serving = rollout()
      const done: string[] = []
      const v2 = named('v2')
      let id: string
      {
        await using asking = replica(serving, { works: false })
        ;({ id } = await asking.dispatch(callOf(v2, 'ask_first', counted)))
        assert.equal((await approve(asking, id)).status, 'queued')
        serving.settle(named('v1'), Date.now())
      }
      await using working = replica(serving, { done })
      const isBack = async () => (await working.get(owner, id)).status === 'awaiting-approval'
      await until(isBack)
      const back = await working.get(owner, id)
      assert.deepEqual([back.reason, back.attempts.length, back.config], ['approval_outdated', 1, 'v2'])
      assert.deepEqual([back.approval?.decision, back.approval?.decidedBy], [null, null])
      assert.ok((back.approval?.expiresAt ?? 0) > Date.now() + 50_000)
      assert.equal(back.dueAt, back.approval?.expiresAt)
      assert.match(back.message ?? '', /rolled back/)
      assert.deepEqual([done, told(id)], [[], []])

      await approve(working, id)
      await until(async () => (await working.get(owner, id)).status === 'succeeded')
      assert.deepEqual(done, [id])
    })

    test('what was approved after the rollback, or of another version, goes on', async () => {
      const serving = rollout()
      await using actions = replica(serving)
      const early = await actions.dispatch(callOf(named('v2'), 'ask_first'))
      const other = await actions.dispatch(callOf(named('v1'), 'ask_first'))
      await approve(actions, other.id)
      serving.settle(named('v1'), Date.now() - 1)
      await approve(actions, early.id)
      for (const run of [early, other]) assert.equal((await settledRun(actions, run)).status, 'succeeded')
    })

    test('a run that waits for approval goes on under its own version when a later one has no such action', async () => {
      const serving = rollout({ do_it: actionSpec('do') })
      await using actions = replica(serving)
      const run = await actions.dispatch(callOf(named('v1'), 'ask_first'))
      serving.settle(named('v2', { do_it: actionSpec('do') }), Date.now())
      await assert.rejects(start(actions, 'ask_first'), { code: 'action_not_found' })
      await approve(actions, run.id)
      assert.equal((await settledRun(actions, run)).status, 'succeeded')
      assert.equal((await actions.get(owner, run.id)).config, 'v1')
    })

    const start = (actions: Actions, action: string) =>
      actions.start(owner, { action, arguments: { x: 1 }, key: undefined, traceparent: undefined })

    test('a run without a chat is drawn by its own id, and served from the version that has its action', async () => {
      const serving = rollout({ only_here: actionSpec('do') })
      await using actions = replica(serving)
      const drawn = await start(actions, 'only_here')
      assert.deepEqual([drawn.config, serving.drawn.at(-1)], ['v2', drawn.id])
      const held = await start(actions, 'do_it')
      assert.equal(held.config, 'v1')
      await until(() => told(drawn.id).length > 0 && told(held.id).length > 0)
      const [first, second] = [told(drawn.id)[0], told(held.id)[0]]
      assert.deepEqual([first?.arm, first?.cohort, first?.unit], ['canary', '', drawn.id])
      assert.deepEqual([second?.arm, second?.cohort, second?.unit], ['stable', '', held.id])
    })

    test('however a run comes to rest, that is told with the unit that it is counted for', async () => {
      await using actions = replica(rollout())
      const v2 = named('v2')
      const call = (action: string, change = {}) => actions.dispatch(callOf(v2, action, { ...counted, ...change }))
      const succeeded = await call('do_it')
      await settledRun(actions, succeeded)
      const invalid = await call('do_it', { arguments: '{"x":"one"}' })
      const [refused, called] = [await call('ask_first'), await call('ask_first')]
      await actions.reject(approver, refused.id, 'no')
      await actions.cancel(owner, called.id)
      const withdrawn = await call('ask_first', { turn: 'turn_w' })
      await actions.withdraw('turn_w')
      const expired = await call('ask_first')
      await ground().sql.query(
        'system',
        `UPDATE runs SET due_at = 1, approval = jsonb_set(approval, '{expiresAt}', '1') WHERE id = $1`,
        [expired.id],
      )
      await until(() => told(expired.id).length > 0)

      const all = [succeeded, invalid, refused, called, withdrawn, expired]
      assert.deepEqual(
        all.map(({ id }) => told(id).map(({ status, reason }) => [status, reason])),
        [
          [['succeeded', null]],
          [['rejected', 'arguments_invalid']],
          [['rejected', 'approval_rejected']],
          [['cancelled', 'cancelled']],
          [['cancelled', 'withdrawn']],
          [['expired', 'approval_expired']],
        ],
      )
      const [fact] = told(succeeded.id)
      assert.deepEqual(fact, {
        ...{ ...counted, config: 'v2', run: succeeded.id, action: 'do_it', status: 'succeeded', reason: null },
        ...{ principal: partitionOf(owner), tenant: 'local', settledAt: fact?.settledAt },
      })
    })

    test('what is counted is told once more, by whoever sweeps, and then never again', async () => {
      await using actions = replica(rollout())
      const dueOf = async (id: string) => {
        const rows = await ground().sql.query<{ due: number | null }>(
          'system',
          'SELECT due_at AS due FROM runs WHERE id = $1',
          [id],
        )
        return rows[0]?.due ?? null
      }
      const run = await actions.dispatch(callOf(named('v2'), 'do_it', counted))
      await settledRun(actions, run)
      await until(() => told(run.id).length === 1)
      const view = await actions.get(owner, run.id)
      assert.deepEqual([view.dueAt, await dueOf(run.id)], [null, (view.settledAt ?? 0) + 60_000])
      await ground().sql.query('system', 'UPDATE runs SET due_at = 1 WHERE id = $1', [run.id])
      await until(async () => (await dueOf(run.id)) === null)
      assert.deepEqual(told(run.id)[1], told(run.id)[0])
      assert.equal((await actions.get(owner, run.id)).version, view.version)

      const uncounted = await actions.dispatch(callOf(named('v2'), 'do_it', { cohort: 'picked' }))
      await settledRun(actions, uncounted)
      assert.equal(await dueOf(uncounted.id), null)
    })
  })
}
