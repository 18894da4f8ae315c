import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type News, wordsOf } from './alert.ts'

const common = { tenant: 'contoso', at: Date.UTC(2026, 0, 2) }
const moved = { rollout: 'roll_1', candidate: 'v2' }

/** What a mail says: its subject, and its first line. */
const said: [News, string, RegExp][] = [
  [
    {
      ...{ ...common, severity: 'critical', kind: 'budget.reached', scope: 'tenant:contoso' },
      ...{ percent: 100, spentUsd: 10, limitUsd: 10 },
    },
    '[Parley] critical: 100 % of a budget are spent',
    /^100 % of a budget are spent: 10\.00 of 10\.00 USD\.\nNew work is refused/,
  ],
  [
    { ...common, ...moved, severity: 'warning', kind: 'rollout.rolled-back', because: 'Turn errors.' },
    '[Parley] warning: v2 was rolled back',
    /^Turn errors\.\nRollout: roll_1/,
  ],
  [
    { ...common, ...moved, severity: 'info', kind: 'rollout.paused', because: null },
    '[Parley] info: v2 was paused',
    /^An operator has decided so\./,
  ],
  [
    { ...common, severity: 'warning', kind: 'rollout.strayed', state: 'diverged' },
    '[Parley] warning: the state of rollouts does not follow from what is known',
    /state\.json, which does not follow from what is known\. What was known last is served\.\nNothing advances .*config restore\./,
  ],
  [
    { ...common, severity: 'warning', kind: 'run.dead-lettered', action: 'create_ticket', run: 'run_1', reason: null },
    '[Parley] warning: runs of create_ticket have failed for good',
    /^run_1 of create_ticket is in the dead letters: no reason given\./,
  ],
  [
    { ...common, severity: 'critical', kind: 'kill-switch.set', scope: 'all' },
    '[Parley] critical: all is stopped',
    /^An operator has set the kill-switch all\./,
  ],
  [
    { ...common, severity: 'critical', kind: 'audit.broken', seq: 7, because: 'changed' },
    '[Parley] critical: an audit log is not what was written',
    /^The audit log of tenant contoso does not hold from entry 7 on: changed\./,
  ],
  [
    { ...common, severity: 'critical', kind: 'identity.away', hasKeys: false },
    '[Parley] critical: the identity provider is away',
    /tenant contoso are signed with cannot be had\. Nobody of this tenant gets in\./,
  ],
  [
    { ...common, severity: 'info', kind: 'identity.back' },
    '[Parley] info: the identity provider is back',
    /tenant contoso are signed with can be had again\./,
  ],
]

for (const [news, subject, text] of said) {
  test(`a person reads of ${subject}`, () => {
    const words = wordsOf({ id: 'alert_1', ...news })
    assert.equal(words.subject, subject)
    assert.match(words.text, text)
    assert.match(words.text, /\n\nTime: 2026-01-02T00:00:00\.000Z$/)
  })
}
