import type { Events } from '#events/events.ts'
import { budgetNews, type News } from './alert.ts'

/** Raises what the news say; those of a name (of a key) are told of once an hour, however many replicas come across them. */
export type Raise = (news: News, onceAnHour?: string) => void

/** Of which facts somebody should hear, and how much they matter. The result ends it. */
export function hearNews(events: Pick<Events, 'on'>, raise: Raise): () => void {
  const stops = [
    events.on('budget.reached', (fact) => raise(budgetNews(fact))),

    events.on('rollout.moved', ({ from, to, tenant, rollout, candidate, because, at }) => {
      if (from === to || (to !== 'rolled-back' && to !== 'paused')) return
      // What a person decided, others hear of; what the system did, somebody has to look at.
      const severity = because === null ? 'info' : 'warning'
      const news = { kind: `rollout.${to}`, tenant, rollout, candidate, because, at } as const
      raise({ severity, ...news }, `rollout:${tenant}:${rollout}:${to}:${at}`)
    }),

    events.on('rollout.strayed', ({ tenant, state, at }) => {
      raise({ severity: 'warning', kind: 'rollout.strayed', tenant, state, at }, `rollout-state:${tenant}:${state}`)
    }),

    events.on('run.settled', ({ status, tenant, action, run, reason, settledAt: at }) => {
      if (status !== 'dead-lettered') return
      raise(
        { severity: 'warning', kind: 'run.dead-lettered', tenant, action, run, reason, at },
        `dead-letters:${tenant}:${action}`,
      )
    }),

    events.on('kill-switch.set', ({ tenant, scope, at }) => {
      raise({ severity: scope === 'all' ? 'critical' : 'warning', kind: 'kill-switch.set', tenant, scope, at })
    }),

    events.on('audit.broken', ({ tenant, seq, because, at }) => {
      raise({ severity: 'critical', kind: 'audit.broken', tenant, seq, because, at }, `audit:${tenant}:${seq}`)
    }),

    events.on('identity.away', ({ tenant, hasKeys, isOver, at }) => {
      if (isOver) return raise({ severity: 'info', kind: 'identity.back', tenant, at }, `identity-back:${tenant}`)
      const news = { kind: 'identity.away', tenant, hasKeys, at } as const
      if (hasKeys) raise({ ...news, severity: 'warning' }, `identity-away:${tenant}`)
      else raise({ ...news, severity: 'critical' }, `nobody-in:${tenant}`)
    }),
  ]
  return () => {
    for (const stop of stops) stop()
  }
}
