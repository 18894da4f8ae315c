import type { RolloutView } from '#config/rollouts.ts'
import type { Client } from './client.ts'
import type { Call, Command } from './command.ts'
import { Misused, Refused } from './faults.ts'
import { instant } from './layout.ts'
import { placeOf, renderHistory, renderStatus, type Transition } from './render-rollout.ts'
import { watch } from './watch.ts'

const rollout = '/api/v1/config/rollout'
const reason = { reason: { type: 'string' } } as const

export const rolloutCommands: Record<string, Command> = {
  start: {
    operands: ['<version>'],
    flags: '[--waive <metric>]…',
    summary: 'begin the rollout of a version',
    options: { waive: { type: 'string', multiple: true } },
    run: (call) => {
      const waive = call.list('waive').flatMap((given) => given.split(','))
      return decide(call, 'start', { version: call.operand(0), ...(waive.length > 0 && { waive }) })
    },
  },
  promote: decision('promote', 'to the next step, or from baking to stable'),
  pause: decision('pause', 'nobody new gets the candidate'),
  resume: decision('resume', 'go on from where it was paused'),
  rollback: decision('rollback', 'take the candidate back; with none live, the stable version'),
  restore: {
    operands: [],
    flags: '[--take <epoch>] [--reason <text>]',
    summary: 'put what is known in the place of a state that cannot be read or was set back; or take that one',
    options: { ...reason, take: { type: 'string' } },
    run: (call) => {
      const take = call.text('take')
      if (take !== undefined && !/^[1-9]\d{0,14}$/.test(take))
        throw new Misused('--take takes the epoch that status says.')
      return decide(call, 'restore', { reason: call.text('reason'), ...(take !== undefined && { take: Number(take) }) })
    },
  },
  status: {
    operands: [],
    flags: '[--watch]',
    summary: 'who serves what, the verdict and its figures; or a line per change',
    options: { watch: { type: 'boolean' } },
    async run(call) {
      if (call.flag('watch')) return watch(call, `${rollout}/stream`)
      const { body } = await call.client.ask<RolloutView>('GET', rollout)
      call.show(body, () => renderStatus(body))
    },
  },
  history: {
    operands: [],
    flags: '[--limit <n>]',
    summary: 'what happened, newest first',
    options: { limit: { type: 'string' } },
    async run({ client, text, show }) {
      const limit = text('limit') ?? '20'
      if (!/^[1-9]\d{0,2}$/.test(limit)) throw new Misused('--limit takes a number from 1 to 200.')
      const { body } = await client.ask<{ items: Transition[] }>('GET', `${rollout}/history?limit=${limit}`)
      show(body, () => renderHistory(body.items))
    },
  },
}

function decision(name: string, summary: string): Command {
  return {
    operands: [],
    flags: '[--reason <text>]',
    summary,
    options: reason,
    run: (call) => decide(call, name, { reason: call.text('reason') }),
  }
}

/** On the state as it is now: who else decides at the same moment is told apart by its tag. */
async function decide({ client, show }: Call, what: string, body: object): Promise<void> {
  const { etag } = await client.ask<RolloutView>('GET', rollout)
  const headers = { 'if-match': etag ?? '' }
  const decided = await client
    .ask<RolloutView>('POST', `${rollout}/${what}`, { headers, body })
    .catch(async (error) => {
      throw error instanceof Refused && error.body.rollout ? await lost(client, error, error.body.rollout) : error
    })
  show(decided.body, () => `${placeOf(decided.body)}.\n${decided.body.verdict.sentence}\n`)
}

/** Says who was faster, and how things stand now. */
async function lost(client: Client, error: Refused, present: RolloutView): Promise<Refused> {
  const { items } = (await client.ask<{ items: Transition[] }>('GET', `${rollout}/history?limit=1`)).body
  const [last] = items
  const who = last
    ? `${last.by} was faster: ${last.from} → ${last.to} at ${instant(last.at)} (${last.reason})`
    : 'Somebody was faster'
  error.message = `${who}. Now: ${placeOf(present)}. Look at it, and decide anew.`
  return error
}
