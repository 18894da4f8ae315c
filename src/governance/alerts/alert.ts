import { pseudonymOf } from '../budgets/scope.ts'

export type Severity = 'info' | 'warning' | 'critical'
export type Channel = 'log' | 'webhook' | 'email'

/** What somebody should hear of. No content, and people by their pseudonym alone. */
export type Alert = News & {
  /** The same however often it is told. */
  id: string
}

/** What an alert says. */
export type News = { severity: Severity; tenant: string; at: number } & (
  | BudgetReached
  | RolloutMoved
  | RolloutStrayed
  | RunDeadLettered
  | KillSwitchSet
  | AuditBroken
  | IdentityAway
  | IdentityBack
)

interface BudgetReached {
  kind: 'budget.reached'
  /** `tenant:<tid>`, `group:<tid>:<id>`, `user:<tid>:<pseudonym>`. */
  scope: string
  percent: number
  spentUsd: number
  limitUsd: number
}

interface RolloutMoved {
  kind: 'rollout.rolled-back' | 'rollout.paused'
  rollout: string | null
  candidate: string | null
  /** Null where a person decided. */
  because: string | null
}

interface RolloutStrayed {
  kind: 'rollout.strayed'
  state: 'unreadable' | 'diverged'
}

interface RunDeadLettered {
  kind: 'run.dead-lettered'
  action: string
  /** The first of them. */
  run: string
  reason: string | null
}

interface KillSwitchSet {
  kind: 'kill-switch.set'
  scope: string
}

interface AuditBroken {
  kind: 'audit.broken'
  seq: number
  because: string
}

interface IdentityAway {
  kind: 'identity.away'
  /** Those that are known go on for a day; else nobody of the tenant gets in. */
  hasKeys: boolean
}

interface IdentityBack {
  kind: 'identity.back'
}

/** As a person reads it. */
export function wordsOf(alert: Alert): { subject: string; text: string } {
  const { subject, lines } = said(alert)
  const { severity, at } = alert
  const text = [...lines, '', `Time: ${new Date(at).toISOString()}`].join('\n')
  return { subject: `[Parley] ${severity}: ${subject}`, text }
}

function said(alert: News): { subject: string; lines: string[] } {
  if (alert.kind === 'budget.reached') {
    const { scope, percent, spentUsd, limitUsd } = alert
    const spent = `${percent} % of a budget are spent`
    const isOver = percent >= 100
    return {
      subject: spent,
      lines: [
        `${spent}: ${spentUsd.toFixed(2)} of ${limitUsd.toFixed(2)} USD.`,
        isOver ? 'New work is refused until the budget is raised or begins anew.' : 'At 100 % new work is refused.',
        `Budget: ${scope}`,
      ],
    }
  }
  if (alert.kind === 'kill-switch.set') {
    const { scope } = alert
    return { subject: `${scope} is stopped`, lines: [`An operator has set the kill-switch ${scope}.`] }
  }
  if (alert.kind === 'audit.broken') {
    const { tenant, seq, because } = alert
    return {
      subject: 'an audit log is not what was written',
      lines: [`The audit log of tenant ${tenant} does not hold from entry ${seq} on: ${because}.`],
    }
  }
  if (alert.kind === 'identity.away') {
    const { tenant, hasKeys } = alert
    const then = hasKeys ? 'Those that are known go on for a day.' : 'Nobody of this tenant gets in.'
    return {
      subject: 'the identity provider is away',
      lines: [`The keys that tokens of tenant ${tenant} are signed with cannot be had. ${then}`],
    }
  }
  if (alert.kind === 'identity.back') {
    return {
      subject: 'the identity provider is back',
      lines: [`The keys that tokens of tenant ${alert.tenant} are signed with can be had again.`],
    }
  }
  if (alert.kind === 'rollout.strayed') {
    const what = alert.state === 'unreadable' ? 'cannot be read' : 'does not follow from what is known'
    return {
      subject: `the state of rollouts ${what}`,
      lines: [
        `Somebody has written state.json, which ${what}. What was known last is served.`,
        'Nothing advances or begins until an operator decides: npx parley config restore.',
      ],
    }
  }
  if (alert.kind === 'run.dead-lettered') {
    const { action, run, reason } = alert
    return {
      subject: `runs of ${action} have failed for good`,
      lines: [
        `${run} of ${action} is in the dead letters: ${reason ?? 'no reason given'}.`,
        'Others of this action are told of in an hour at the earliest. Replay or discard them.',
      ],
    }
  }
  const { kind, candidate, rollout, because } = alert
  const subject = `${candidate ?? 'a version'} was ${kind === 'rollout.paused' ? 'paused' : 'rolled back'}`
  return { subject, lines: [because ?? 'An operator has decided so.', `Rollout: ${rollout ?? 'none'}`] }
}

export function budgetNews(fact: Omit<BudgetReached, 'kind'> & { tenant: string; at: number }): News {
  const { tenant, scope, percent, spentUsd, limitUsd, at } = fact
  const severity = percent >= 95 ? 'critical' : percent >= 85 ? 'warning' : 'info'
  const kind = 'budget.reached'
  return { severity, kind, tenant, scope: pseudonymOf(scope), percent, spentUsd, limitUsd, at }
}
