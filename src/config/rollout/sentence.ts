import type { Metric } from '../evidence/metrics.ts'
import type { RolloutFigures } from '../rollouts.ts'
import type { Judged, Judgement } from './verdict.ts'

const words: Readonly<Record<Metric, string>> = {
  'turn-error': 'failed turns',
  'first-token-slow': 'slow first tokens',
  'action-failed': 'failed actions',
  'not-completed': 'answers that were not completed',
  'cost-high': 'high costs',
  'thumbs-down': 'thumbs down',
}

/** A judgement in one plain sentence, with the figures it rests on. */
export function sentenceOf(judgement: Judgement, live: Judged, figures: RolloutFigures): string {
  return `${heads[judgement.decision]}: ${bodyOf(judgement, live, figures)}.`
}

const heads = { 'roll-back': 'Roll back', pause: 'Pause', advance: 'Advance', hold: 'Hold' } as const

function bodyOf(judgement: Judgement, live: Judged, figures: RolloutFigures): string {
  const { trials, advance } = figures
  const step = `step ${live.step + 1} of ${live.steps.length} (${live.steps[live.step]?.weight} %)`
  const evidence = `evidence ${figure(advance.e)} of ${advance.needed} against an error rate of ${percent(advance.rate)}`
  switch (judgement.why) {
    case 'paused':
      return `${live.candidate.version} is paused: ${live.paused?.reason.replace(/^Pause: |\.$/g, '')}`
    case 'baking':
      return `${live.candidate.version} has passed its steps and is watched for ${span(live.bakeMs)}`
    case 'baked':
      return `${live.candidate.version} was watched for ${span(live.bakeMs)}, and nothing spoke against it`
    case 'trials':
      return `${trials.canary} of ${trials.needed} trials of ${step} are closed, ${trials.errors} with errors`
    case 'evidence':
      return `${trials.canary} trials of ${step} are closed, ${trials.errors} with errors, but ${evidence} is too little`
    case 'step':
      return `${trials.canary} trials of ${step}, ${trials.errors} with errors, are ${evidence}`
    case 'quiet':
      return `no turn has reached the canary at ${step} for 24 hours, and silence proves nothing`
    case 'slow':
      return `${step} has not come to its evidence in 7 days: ${trials.canary} of ${trials.needed} trials, ${evidence}`
    case 'incomparable-yet':
      return `${trials.canary} trials of ${step} are closed, ${trials.errors} with errors, but of stable there are fewer than 200 yet to compare with`
    case 'budget':
      return `a budget came to its end by a call of ${live.candidate.version}, and of stable there is too little to tell whether it costs more; a person has to decide`
    case 'incomparable':
      return `fewer than 200 trials of stable are there to compare with, an hour and more after ${step} began; a person has to decide`
    default:
      return rollbackOf(judgement.why, live, figures)
  }
}

function rollbackOf(why: Extract<Judgement, { decision: 'roll-back' }>['why'], live: Judged, figures: RolloutFigures) {
  const { version } = live.candidate
  if (why.kind === 'deterministic-faults') {
    return `${why.inRow} turns in a row of ${version} failed by its configuration, and none of stable at that time`
  }
  if (why.kind === 'budget') {
    const cost = figures.metrics.find(({ metric }) => metric === 'cost-high')
    return `a budget came to its end by a call of ${version}, none by stable at that time, and it costs more (E ${figure(cost?.e ?? 0)})`
  }
  const of = figures.metrics.find(({ metric }) => metric === why.metric)
  const bad = `${of?.canary} of ${(of?.canary ?? 0) + (of?.control ?? 0)} conversations with ${words[why.metric]} are of ${version}`
  const e = `E ${figure(of?.e ?? 0)}, limit ${figure(of?.threshold ?? 0)}`
  return why.kind === 'hard-guard' ? `${bad}, half of its newest twenty among them (${e})` : `${bad} (${e})`
}

/** Three digits at most, as people read them. */
function figure(value: number): string {
  if (value >= 1e6) return value.toExponential(1)
  return value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(2)))
}

function percent(rate: number): string {
  return `${figure(rate * 100)} %`
}

function span(ms: number): string {
  const [count, unit] = ms < 90_000 ? [Math.round(ms / 1000), 'second'] : [Math.round(ms / 60_000), 'minute']
  return `${count} ${unit}${count === 1 ? '' : 's'}`
}
