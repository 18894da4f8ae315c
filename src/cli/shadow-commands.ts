import type { ShadowView } from '#config/shadow.ts'
import type { Call, Command } from './command.ts'
import { Misused } from './faults.ts'
import { renderShadow } from './render-shadow.ts'

const shadow = '/api/v1/config/shadow'

export const shadowCommands: Record<string, Command> = {
  shadow: {
    operands: [],
    flags: '',
    summary: 'what is tried on copies of live turns, and how it compares',
    options: {},
    async run({ client, show }) {
      const { body } = await client.ask<ShadowView>('GET', shadow)
      show(body, () => renderShadow(body))
    },
  },
  'shadow start': {
    operands: ['<version>'],
    flags: '--budget <usd> --turns <n> [--share <percent>]',
    summary: 'try a version on copies of the turns of people who have consented; 10 % of them',
    options: { budget: { type: 'string' }, turns: { type: 'string' }, share: { type: 'string' } },
    run: (call) =>
      decide(call, 'start', {
        version: call.operand(0),
        budgetUsd: numberOf(call, 'budget'),
        turns: numberOf(call, 'turns'),
        share: numberOf(call, 'share', 10),
      }),
  },
  'shadow stop': {
    operands: [],
    flags: '[--reason <text>]',
    summary: 'stop trying it; copies under way are given up',
    options: { reason: { type: 'string' } },
    run: (call) => decide(call, 'stop', { reason: call.text('reason') }),
  },
}

function numberOf({ text }: Call, option: string, otherwise?: number): number {
  const given = text(option)
  if (given === undefined && otherwise !== undefined) return otherwise
  if (given === undefined || !/^\d+(\.\d+)?$/.test(given)) throw new Misused(`--${option} takes a number.`)
  return Number(given)
}

/** On what is tried as it is now: who else decides at the same moment is told apart by its tag. */
async function decide({ client, show }: Call, what: string, body: object): Promise<void> {
  const { etag } = await client.ask<ShadowView>('GET', shadow)
  const decided = await client.ask<ShadowView>('POST', `${shadow}/${what}`, {
    headers: { 'if-match': etag ?? '' },
    body,
  })
  show(decided.body, () => renderShadow(decided.body))
}
