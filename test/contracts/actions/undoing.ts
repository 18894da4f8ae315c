import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Actions } from '../../../src/actions/actions.ts'
import { CorrectableError, type Executor, PassingError } from '../../../src/actions/executors/executor.ts'
import type { ActionCall } from '../../../src/actions/port.ts'
import type { ActionSpec } from '../../../src/config/action-spec.ts'
import { actionSpec, callOf, type Ground, person, settledRun, until, versionOf } from '../../support/runs-at-hand.ts'

const closing = {
  type: 'object',
  required: ['ticket'],
  additionalProperties: false,
  properties: { ticket: { type: 'integer' }, note: { type: 'string' } },
}

function desk(change: { open?: Partial<ActionSpec>; close?: Partial<ActionSpec> } = {}): Record<string, ActionSpec> {
  const undo = { action: 'close', arguments: { ticket: '{result.ticket}', note: 'was {arguments.title}' } }
  return {
    open: actionSpec('open', { access: 'write', effect: 'idempotent', undo, ...change.open }),
    close: actionSpec('close', { access: 'write', effect: 'idempotent', parameters: closing, ...change.close }),
  }
}

/** Undoing what a run did, on whichever engines stand below. */
export function undoingSuite(ground: () => Ground): void {
  describe('undoing', () => {
    const ada = person('ada')
    const admin = person('root', ['Admin', 'Action.Approver'])
    let tickets = 0
    const opening: Executor = () => ({ ticket: ++tickets })

    async function opened(
      actions: Actions,
      specs: Record<string, ActionSpec>,
      change: Partial<ActionCall> = {},
    ): Promise<string> {
      const call = callOf(versionOf(specs), 'open', { arguments: '{"title":"Printer"}', ...change })
      const run = await settledRun(actions, await actions.dispatch(call))
      assert.equal(run.status, 'succeeded', run.output ?? '')
      return run.id
    }
    async function ended(actions: Actions, id: string) {
      let last = await actions.get(admin, id)
      for await (const view of actions.follow(admin, id, AbortSignal.timeout(60_000))) last = view
      return last
    }

    test('it is a run of its own with what the first was called with and answered, linked both ways', async () => {
      const closed: unknown[] = []
      const functions = { open: opening, close: (args: unknown) => closed.push(args) }
      await using actions = ground().actions({ actions: desk(), functions })
      const id = await opened(actions, desk())
      const undoing = await actions.undo(ada, id, '00-11111111111111111111111111111111-2222222222222222-01')
      const end = await ended(actions, undoing.id)
      assert.deepEqual([end.status, end.action, end.undoes, end.owner.id], ['succeeded', 'close', id, 'ada'])
      assert.deepEqual(closed, [{ ticket: tickets, note: 'was Printer' }])
      const first = await actions.get(ada, id)
      assert.deepEqual([first.status, first.undoneBy, first.undoes, end.undoneBy], ['succeeded', end.id, null, null])
      assert.deepEqual([end.conversation, end.turn, end.config], [first.conversation, null, first.config])
    })

    test('however many ask, and whoever, it is undone once', async () => {
      let closes = 0
      const functions = { open: opening, close: () => ++closes }
      await using actions = ground().actions({ actions: desk(), functions })
      await using other = ground().actions({ actions: desk(), functions })
      const id = await opened(actions, desk(), { conversation: undefined })
      const askers = [ada, admin, person('eve', ['Action.Approver'])]
      const asked = await Promise.all(
        askers.flatMap((by) => [actions, other].map((replica) => replica.undo(by, id, undefined))),
      )
      assert.deepEqual([...new Set(asked.map((run) => run.id))].length, 1)
      const end = await ended(actions, String(asked[0]?.id))
      assert.deepEqual([end.status, closes], ['succeeded', 1])
      // Who asked first it is done for; whose run it undoes sees it all the same.
      assert.equal((await actions.undo(ada, id, undefined)).id, end.id)
      assert.equal((await actions.get(ada, end.id)).undoes, id)
      await assert.rejects(actions.get(person('bob'), end.id), { code: 'run_not_found' })
    })

    test('only what succeeded is undone, by its owner or who operates, where something undoes it', async () => {
      const refusing: Executor = () => {
        throw new CorrectableError('No.')
      }
      const functions = { open: opening, close: refusing }
      await using actions = ground().actions({ actions: desk(), functions })
      const id = await opened(actions, desk())
      await assert.rejects(actions.undo(person('bob'), id, undefined), { code: 'run_not_found' })
      await assert.rejects(actions.undo(person('bob', ['Admin'], 'elsewhere'), id, undefined), {
        code: 'run_not_found',
      })
      const undoing = await actions.undo(ada, id, undefined)
      assert.equal((await ended(actions, undoing.id)).status, 'failed')
      await assert.rejects(actions.undo(ada, undoing.id, undefined), { code: 'run_state' })
      const { undo: _, ...plain } = desk().open as ActionSpec
      await using without = ground().actions({ actions: { open: plain }, functions })
      const other = await opened(without, { open: plain })
      await assert.rejects(without.undo(ada, other, undefined), { code: 'run_state' })
    })

    test('roles are those of the action that undoes', async () => {
      const guarded = desk({ close: { roles: ['Admin'] } })
      await using actions = ground().actions({ actions: guarded, functions: { open: opening, close: () => 'closed' } })
      const id = await opened(actions, guarded)
      await assert.rejects(actions.undo(ada, id, undefined), { code: 'forbidden' })
      assert.equal((await ended(actions, (await actions.undo(admin, id, undefined)).id)).owner.id, 'root')
    })

    test('so is the schema', async () => {
      const narrow = desk({ close: { parameters: { ...closing, properties: { ticket: { type: 'string' } } } } })
      await using actions = ground().actions({ actions: narrow, functions: { open: opening } })
      const id = await opened(actions, narrow)
      await assert.rejects(actions.undo(ada, id, undefined), { code: 'arguments_invalid' })
      assert.equal((await actions.get(ada, id)).undoneBy, null)
    })

    test('and so is the approval', async () => {
      const held = desk({ close: { approval: {} } })
      await using actions = ground().actions({ actions: held, functions: { open: opening, close: () => 'closed' } })
      const waiting = await actions.undo(ada, await opened(actions, held), undefined)
      assert.deepEqual([waiting.status, waiting.approval?.because], ['awaiting-approval', 'rule'])
      const hash = waiting.argumentsHash
      await assert.rejects(actions.approve(person('ada', ['Action.Approver']), waiting.id, { hash }), {
        code: 'forbidden',
      })
      await actions.approve(person('eve', ['Action.Approver']), waiting.id, { hash })
      assert.equal((await ended(actions, waiting.id)).result, 'closed')
    })

    test('an undoing that was called off makes room for another; one that failed is replayed', async () => {
      let away = true
      const closing: Executor = () => {
        if (away) throw new CorrectableError('Not now.')
        return 'closed'
      }
      const held = desk({ close: { approval: {} } })
      await using actions = ground().actions({ actions: held, functions: { open: opening, close: closing } })
      const id = await opened(actions, held)
      const first = await actions.undo(ada, id, undefined)
      await actions.reject(admin, first.id, 'Not yet.')
      const second = await actions.undo(ada, id, undefined)
      assert.notEqual(second.id, first.id)
      assert.equal((await actions.get(ada, id)).undoneBy, second.id)
      await actions.cancel(ada, second.id)
      const third = await actions.undo(admin, id, undefined)
      await actions.cancel(admin, third.id)
      const last = await actions.undo(ada, id, undefined)
      await actions.approve(admin, last.id, { hash: last.argumentsHash })
      assert.equal((await ended(actions, last.id)).status, 'failed')
      assert.equal((await actions.undo(ada, id, undefined)).id, last.id)
      away = false
      await actions.replay(admin, last.id)
      assert.equal((await ended(actions, last.id)).status, 'succeeded')
      assert.equal(new Set([first.id, second.id, third.id, last.id]).size, 4)
    })

    test('one that may have happened is not called off, and makes no room for another', async () => {
      const closing: Executor = async (_, { begin }) => {
        await begin()
        throw new PassingError('No answer.', { reason: 'cut_off', retryAfterMs: 600_000 })
      }
      await using actions = ground().actions({ actions: desk(), functions: { open: opening, close: closing } })
      const id = await opened(actions, desk())
      const undoing = await actions.undo(ada, id, undefined)
      await until(async () => (await actions.get(ada, undoing.id)).status === 'retrying')
      await assert.rejects(actions.cancel(ada, undoing.id), { code: 'run_state' })
      assert.equal((await actions.undo(ada, id, undefined)).id, undoing.id)
      await ground().sql.query('system', 'DELETE FROM runs WHERE id = $1', [undoing.id])
    })

    test('it takes its turn among the ordered runs of the conversation', async () => {
      const gate = Promise.withResolvers<void>()
      const order: string[] = []
      const ordered = desk({ open: { order: 'conversation' }, close: { order: 'conversation' } })
      const functions: Record<string, Executor> = {
        open: async ({ title }) => {
          if (title === 'second') await gate.promise
          order.push(`open ${title}`)
          return { ticket: 1 }
        },
        close: () => order.push('close'),
      }
      await using actions = ground().actions({ actions: ordered, functions })
      const conversation = `conv_undo_${Math.random()}`
      const id = await opened(actions, ordered, { conversation, arguments: '{"title":"first"}' })
      const call = callOf(versionOf(ordered), 'open', { conversation, arguments: '{"title":"second"}' })
      const second = await actions.dispatch(call)
      const undoing = await actions.undo(ada, id, undefined)
      assert.equal(undoing.blockedBy, second.id)
      gate.resolve()
      assert.equal((await ended(actions, undoing.id)).status, 'succeeded')
      assert.deepEqual(order, ['open first', 'open second', 'close'])
    })
  })
}
