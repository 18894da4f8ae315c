import type { ActionSpec } from '../action-spec.ts'
import type { Weakening } from '../diff.ts'
import type { ConfigDocument, RolloutSpec } from '../document.ts'
import { firstLooser } from '../rollout-steps.ts'
import { looserArguments } from './argument-bounds.ts'

type Limits = Readonly<Record<string, number>>

/** Limits that are higher than before, pins that are gone, and a rollout that holds back less. */
export function limitWeakenings(before: ConfigDocument, after: ConfigDocument): Weakening[] {
  const actions = common(before.actions, after.actions).flatMap(([name, old, young]) => {
    const path = `actions.${name}`
    return [
      ...raised(path, limitsOf(old), limitsOf(young)),
      ...lostPins(path, old, young),
      ...looserArguments(path, old, young),
    ]
  })
  const routes = common(before.routes, after.routes).flatMap(([name, old, young]) =>
    raised(`routes.${name}`, timeoutsOf(old), timeoutsOf(young)),
  )
  const models = common(before.models, after.models).flatMap(([name, old, young]) =>
    raised(`models.${name}`, concurrencyOf(old), concurrencyOf(young)),
  )
  return [...models, ...routes, ...actions, ...looserRollout(before.rollout, after.rollout)]
}

/** With what holds where a version says nothing. */
function limitsOf({ timeoutMs = 30_000, retries = 5, http }: ActionSpec): Limits {
  return { timeoutMs, retries, ...(http && { 'http.maxResponseBytes': http.maxResponseBytes ?? 262_144 }) }
}

function timeoutsOf(route: ConfigDocument['routes'][string]): Limits {
  const { connectTimeoutMs = 5000, firstTokenTimeoutMs = 20_000, stallTimeoutMs = 20_000 } = route
  return { connectTimeoutMs, firstTokenTimeoutMs, stallTimeoutMs }
}

function concurrencyOf({ concurrency = Number.POSITIVE_INFINITY }: { concurrency?: number }): Limits {
  return { concurrency }
}

function raised(path: string, before: Limits, after: Limits): Weakening[] {
  return Object.entries(after).flatMap(([limit, value]) => {
    const old = before[limit] ?? value
    if (value <= old) return []
    const message = Number.isFinite(value)
      ? `${path}.${limit} is raised from ${old} to ${value}.`
      : `${path}.${limit} is no longer limited; it was ${old}.`
    return [{ kind: 'limit' as const, path: `${path}.${limit}`, message }]
  })
}

function lostPins(path: string, before: ActionSpec, after: ActionSpec): Weakening[] {
  return (['mcp', 'openapi'] as const).flatMap((kind) => {
    if (before[kind]?.pin === undefined || !after[kind] || after[kind].pin !== undefined) return []
    const message = `${path} is no longer held to the tool that was reviewed.`
    return [{ kind: 'limit' as const, path: `${path}.${kind}.pin`, message }]
  })
}

/** What a version leaves out the environment decides, so that whoever had said it before guards less now. */
function looserRollout(before: RolloutSpec = {}, after: RolloutSpec = {}): Weakening[] {
  const found: Weakening[] = []
  const say = (path: string, message: string) => found.push({ kind: 'limit', path: `rollout.${path}`, message })
  if (before.steps && before.steps.length > 0) {
    const at = firstLooser(after.steps ?? [], before.steps)
    if (!after.steps) say('steps', 'The steps of the rollout are left to the environment.')
    else if (at !== undefined && at >= after.steps.length) say('steps', 'The rollout has fewer steps than before.')
    else if (at !== undefined)
      say(`steps.${at}`, `Step ${at + 1} of the rollout reaches more, or asks for less evidence.`)
  }
  if (before.bakeMs !== undefined && after.bakeMs === undefined) {
    say('bakeMs', 'How long the last step is watched is left to the environment.')
  } else if (after.bakeMs !== undefined && after.bakeMs < (before.bakeMs ?? 0)) {
    say('bakeMs', `The last step is watched for ${after.bakeMs} ms instead of ${before.bakeMs} ms.`)
  }
  return found
}

function common<T>(
  before: Readonly<Record<string, T>> = {},
  after: Readonly<Record<string, T>> = {},
): [string, T, T][] {
  return Object.entries(after).flatMap(([name, young]): [string, T, T][] => {
    const old = Object.hasOwn(before, name) ? before[name] : undefined
    return old === undefined ? [] : [[name, old, young]]
  })
}
