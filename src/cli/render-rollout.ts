import type { Rollouts, RolloutView } from '#config/rollouts.ts'
import { figure, instant, table } from './layout.ts'

export type Transition = Awaited<ReturnType<Rollouts['history']>>[number]

/** All that the rollout has to say of itself. */
export function renderStatus(view: RolloutView): string {
  const { stable, live, verdict, figures, waiting, finished } = view
  const [last] = finished.toSorted((a, b) => b.endedAt - a.endedAt)
  const rows = [
    ['stable', `${stable.version} (SHA-256 ${stable.hash.slice(0, 12)}…)`],
    ['rollout', live ? `${placeOf(view)}, since ${instant(live.since)}, started by ${live.startedBy}` : 'none'],
    ...(live && live.waived.length > 0 ? [['waived', live.waived.join(', ')]] : []),
    ['verdict', verdict.sentence],
    ...waiting.map(({ version, reason }) => ['waiting', `${version}: ${reason}`]),
    ...(last
      ? [['last', `${last.candidate.version} ${last.outcome} at ${instant(last.endedAt)}: ${last.reason}`]]
      : []),
    ...storeOf(view).map((text) => ['store', text]),
  ]
  const lines = rows.map(([name = '', text]) => `${name.padEnd(8)} ${text}\n`).join('')
  return figures && live ? `${lines}\n${renderFigures(figures)}` : lines
}

/** What is the matter with the store, if anything. */
function storeOf({ epoch, reachable, unreadable, diverged }: RolloutView): string[] {
  if (unreadable) return ['its state cannot be read: served from what is known; config restore puts it right']
  if (diverged) {
    const { stable, candidate, at } = diverged
    const what = `${stable.version} stable${candidate ? `, ${candidate.version} on its way` : ''}, of ${instant(at)}`
    return [
      `its state was set back to epoch ${diverged.epoch} (${what}): served from what is known, epoch ${epoch}`,
      `config restore puts that back, config restore --take ${diverged.epoch} takes what is there`,
    ]
  }
  return reachable ? [] : ['out of reach: served from what is known']
}

/** In a line, for who watches. */
export function renderLine(view: RolloutView): string {
  const [fault] = storeOf(view)
  return `${placeOf(view)}  ${view.verdict.sentence}${fault ? `  (store: ${fault})` : ''}`
}

/** Where the rollout stands: what changes it is a transition. */
export function placeOf({ stable, live }: RolloutView): string {
  if (!live) return `${stable.version} stable`
  const step = `step ${live.step + 1} of ${live.steps.length} (${live.steps[live.step]?.weight} %)`
  return `${live.candidate.version} ${live.status}, ${step}`
}

export function renderHistory(items: readonly Transition[]): string {
  return table(
    ['EPOCH', 'WHEN', 'VERSION', 'FROM', 'TO', 'BY', 'REASON'],
    items.map(({ epoch, at, candidate, from, to, by, reason }) => {
      return [String(epoch), instant(at), candidate ?? '-', from, to, by, reason]
    }),
  )
}

function renderFigures({ trials, advance, metrics }: NonNullable<RolloutView['figures']>): string {
  const rows = metrics.map(({ metric, canary, control, e, threshold, waived }) => {
    return [metric, String(canary), String(control), figure(e), waived ? 'waived' : figure(threshold)]
  })
  const heading = ['BAD CONVERSATIONS', 'CANARY', 'STABLE', 'EVIDENCE', 'ROLLED BACK AT']
  return `trials   ${trials.canary} of ${trials.needed} closed, ${trials.errors} with errors; ${trials.control} of stable
advance  evidence ${figure(advance.e)} of ${figure(advance.needed)} that errors stay below ${figure(advance.rate * 100)} %

${table(heading, rows)}`
}
