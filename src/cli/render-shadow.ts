import type { ShadowComparison, ShadowView, SideFigures } from '#config/shadow.ts'
import { figure, instant, table } from './layout.ts'

/** All that there is to say of what is tried in the shadow, or was last. */
export function renderShadow({ live, finished, comparison, limits }: ShadowView): string {
  const [last] = finished
  const shown = live ?? last
  const permitted = `at most ${figure(limits.budgetUsd)} USD and ${limits.turns} turns are permitted`
  if (!shown) return `shadow   nothing was tried yet; ${permitted}\n`
  const bounds = `${figure(shown.share)} % of turns, at most ${shown.turns} and ${figure(shown.budgetUsd)} USD`
  const rows = [
    ['shadow', live ? `${live.version}, since ${instant(live.startedAt)}, started by ${live.startedBy}` : 'none'],
    ...(!live && last ? [['last', `${last.version}, ended at ${instant(last.endedAt)}: ${last.reason}`]] : []),
    ['bounds', bounds],
    ...(comparison ? progressOf(comparison) : []),
  ]
  const lines = rows.map(([name = '', text]) => `${name.padEnd(8)} ${text}\n`).join('')
  return comparison && comparison.turns.compared > 0 ? `${lines}\n${renderComparison(comparison)}` : lines
}

function progressOf({ turns, costUsd, skipped, overlap }: ShadowComparison): string[][] {
  const lost = turns.lost > 0 ? `, ${turns.lost} lost` : ''
  const held = costUsd.held > 0 ? `, ${figure(costUsd.held)} held for copies under way` : ''
  return [
    ['turns', `${turns.compared} compared of ${turns.taken} copied${lost}`],
    ['cost', `${figure(costUsd.spent)} USD${held}`],
    ...(Object.keys(skipped).length > 0 ? [['skipped', countsOf(skipped)]] : []),
    ...(overlap === null ? [] : [['overlap', `${figure(overlap * 100)} % of the words, on average`]]),
  ]
}

function renderComparison({ served, shadowed, actions }: ShadowComparison): string {
  const row = (name: string, of: (side: SideFigures) => string) => [name, of(served), of(shadowed)]
  const firstToken = (at: 'p50' | 'p90') => (side: SideFigures) =>
    side.firstTokenMs ? `${figure(side.firstTokenMs[at])} ms` : '-'
  const answers = table(
    ['A TURN', 'SERVED', 'SHADOW'],
    [
      row('ended', ({ finishes }) => countsOf(finishes)),
      row('failed', ({ failures }) => countsOf(failures)),
      row('characters', ({ characters }) => figure(characters)),
      row('tokens in', ({ inputTokens }) => figure(inputTokens)),
      row('tokens out', ({ outputTokens }) => figure(outputTokens)),
      row('cost', ({ costUsd }) => `${figure(costUsd)} USD`),
      row('first token p50', firstToken('p50')),
      row('first token p90', firstToken('p90')),
    ],
  )
  if (actions.length === 0) return answers
  const calls = actions.map(({ action, served, shadowed }) => {
    return [
      action,
      `${served.calls}: ${countsOf(served.outcomes)}`,
      `${shadowed.calls}: ${countsOf(shadowed.outcomes)}`,
    ]
  })
  return `${answers}\n${table(['CALLS OF', 'SERVED', 'SHADOW'], calls)}`
}

function countsOf(counts: Readonly<Record<string, number>>): string {
  const named = Object.entries(counts).map(([name, count]) => `${name} ${count}`)
  return named.length === 0 ? '-' : named.join(', ')
}
