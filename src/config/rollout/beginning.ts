import { randomBytes } from 'node:crypto'
import type { RolloutEnv } from '#env.ts'
import { ParleyError } from '#errors.ts'
import { newId } from '#ids.ts'
import type { Clock } from '#platform/clock.ts'
import type { ConfigVersion } from '../document.ts'
import type { Metric } from '../evidence/metrics.ts'
import type { Baselines } from './baselines.ts'
import { LEAST_STABLE_TRIALS } from './judge.ts'
import type { KnownVersion, KnownVersions } from './known-versions.ts'
import { planOf } from './plan.ts'
import type { NeedsSecond } from './second-operator.ts'
import type { ServingNow } from './serving-now.ts'
import type { SharedState } from './shared-state.ts'
import type { Baseline } from './state.ts'
import type { CounterStore } from './store/counter-store.ts'
import { start } from './transitions.ts'
import { type Waiting, waitingVersions } from './waiting.ts'

export interface BeginningOptions {
  shared: SharedState
  serving: ServingNow
  versions: KnownVersions
  counters: CounterStore
  baselines: Baselines
  needsSecond: NeedsSecond
  env: RolloutEnv
  clock: Clock
}

/** Who starts it, and with what words. */
export interface Starter {
  by: string
  operator: string | null
  reason: string
  waived: readonly Metric[]
}

export type Beginnings = ReturnType<typeof createBeginnings>

/** How rollouts begin: which versions wait, and what is laid down before the first unit is assigned. */
export function createBeginnings(options: BeginningOptions) {
  const { shared, serving, versions, counters, baselines, env, clock } = options
  const needsSecond = (candidate: ConfigVersion, entry: KnownVersion, by: string | null): boolean =>
    options.needsSecond(serving.stable(), candidate, entry, by)

  const waiting = (): Waiting[] =>
    waitingVersions({
      state: shared.present,
      known: versions.list(),
      stable: serving.stable(),
      get: versions.get,
      startsByItself: env.starts === 'by-itself',
      needsSecond,
    })

  /** Undefined while there is too little of stable to compare with. */
  async function baselineNow(): Promise<Baseline | null> {
    const baseline = await baselines.read(shared.present.stable.hash, clock.now())
    return baseline.trials >= LEAST_STABLE_TRIALS ? baseline : null
  }

  /** An id and a salt that no unit was ever drawn by, with counters that are laid down. */
  async function anew() {
    const id = newId('roll')
    await counters.begin(id)
    return { id, salt: randomBytes(16).toString('hex'), baseline: await baselineNow() }
  }

  async function begin(candidate: ConfigVersion, { by, operator, reason, waived }: Starter): Promise<void> {
    const plan = planOf(candidate.document, env)
    const isAtOnce = plan.steps.length === 0
    // What serves everyone at once is not counted, and needs no counters.
    const own = isAtOnce ? { id: newId('roll'), salt: '', baseline: null } : await anew()
    const at = isAtOnce ? clock.now() : (await counters.read(own.id, 0)).now
    const { name: version, hash } = candidate
    const beginning = { ...own, ...plan, candidate: { version, hash }, waived, startedBy: by }
    const isPlain = isAtOnce && waived.length === 0
    const evidence = isPlain ? null : { ...plan, waived, baseline: own.baseline }
    await shared.move((state) => start(state, beginning, { by, operator, reason, evidence, at }))
  }

  function nextFree(): ConfigVersion | undefined {
    const free = shared.present.live ? undefined : waiting().find(({ isFree }) => isFree)
    return free && versions.get(free.version)
  }

  return {
    waiting,
    anew,

    /** The newest version that nothing keeps from it. */
    async beginWaiting(): Promise<void> {
      if (!nextFree()) return
      // What has just become stable may have been ordered back meanwhile; an order counts until the next one begins.
      await shared.look()
      const candidate = nextFree()
      if (!candidate) return
      const reason = `${candidate.name} is newer than ${shared.present.stable.version}.`
      await begin(candidate, { by: 'system', operator: null, reason, waived: [] })
    },

    /** Rejects with config_not_found, config_invalid, second_operator_needed, and as the transition does. */
    async beginByHand(name: string, starter: Starter & { operator: string }): Promise<void> {
      // An old one is known once it was asked for, and looked for.
      if (!versions.get(name)) await versions.refresh()
      const entry = versions.list().find((one) => one.name === name)
      if (!entry) throw refusal('config_not_found', `There is no config version ${JSON.stringify(name)}.`)
      const candidate = versions.get(name)
      if (entry.status === 'refused' || !candidate) {
        throw refusal('config_invalid', `${name} is refused; npx parley config show ${name} says why.`)
      }
      const { live } = shared.present
      if (live)
        throw refusal('rollout_state', `The rollout of ${live.candidate.version} is live, and has to end first.`)
      if (needsSecond(candidate, entry, starter.operator)) throw new ParleyError('second_operator_needed')
      await begin(candidate, starter)
    },
  }
}

function refusal(code: 'config_not_found' | 'config_invalid' | 'rollout_state', message: string): ParleyError {
  return new ParleyError(code, { message })
}
