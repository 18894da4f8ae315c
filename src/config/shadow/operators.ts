import type { ShadowEnv } from '#env.ts'
import { ParleyError } from '#errors.ts'
import type { AuditEntry } from '#governance/audit.ts'
import { type Principal, partitionOf } from '#identity/principal.ts'
import { newId } from '#ids.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { Weakening } from '../diff.ts'
import type { ConfigVersion } from '../document.ts'
import type { KnownVersion } from '../rollout/known-versions.ts'
import { hasSecond } from '../rollout/waiting.ts'
import type { LiveShadow, ShadowStart, Shadows, ShadowView } from '../shadow.ts'
import type { Figures } from './figures.ts'
import type { PresentShadow } from './present.ts'
import { begin, stop } from './shadow-state.ts'

export interface OperatorsOptions {
  present: PresentShadow
  figures: Figures
  versions: { get(name: string): ConfigVersion | undefined; list(): readonly KnownVersion[] }
  stable(): ConfigVersion
  weakeningsOf(from: ConfigVersion, to: ConfigVersion): readonly Weakening[]
  env: ShadowEnv
  /** Whether versions that guard less need a second operator. */
  secondOperator: boolean
  clock: Clock
  log: Log
  /** What operators do is kept with who did it. */
  note(entry: AuditEntry): unknown
  view(): Promise<ShadowView>
}

const LONGEST_MS = 7 * 86_400_000

/** What operators decide, each on what they have seen. */
export function createOperators(options: OperatorsOptions): Pick<Shadows, 'start' | 'stop'> {
  const { present, figures, env, clock, log, note, view } = options
  const noted = (by: Principal, subject: string, details: AuditEntry['details'] & object) =>
    note({ tenant: by.tenant, kind: 'rollout.moved', actor: partitionOf(by), subject, details, at: clock.now() })

  return {
    async start(by, request) {
      checkRole(by)
      checkAsked(request, env)
      const { name: version, hash } = permitted(options, by, request.version)
      const { share, budgetUsd, turns } = request
      const startedAt = clock.now()
      const bounds = { share, budgetUsd, turns, until: startedAt + LONGEST_MS }
      const live: LiveShadow = { id: newId('shadow'), version, hash, ...bounds, startedAt, startedBy: by.name }
      await figures.lay(live.id)
      try {
        await present.change((state) => begin(state, request.ifMatch, live))
      } catch (error) {
        await figures.forget(live.id).catch(() => {})
        throw error
      }
      log.info({ shadow: live.id, config: version, share, budgetUsd, turns }, 'A shadow has begun')
      noted(by, version, { to: 'shadow', shadow: live.id, share, budgetUsd, turns })
      return view()
    },

    async stop(by, { reason, ifMatch }) {
      checkRole(by)
      const ending = { ended: 'stopped' as const, reason: `${by.name}: ${reason}`, endedAt: clock.now() }
      await present.change((state) => stop(state, ifMatch, ending))
      const { id: shadow, version = '' } = present.state.finished[0] ?? {}
      log.info({ shadow, config: version }, 'A shadow was stopped')
      noted(by, version, { to: 'shadow-stopped', ...(shadow !== undefined && { shadow }) })
      return view()
    },
  }
}

function checkRole({ roles }: Principal): void {
  if (!roles.some((role) => role === 'Config.Operator' || role === 'Admin')) throw new ParleyError('forbidden')
}

function checkAsked({ share, budgetUsd, turns }: ShadowStart, env: ShadowEnv): void {
  const refuse = (param: keyof ShadowStart, message: string) => new ParleyError('invalid_request', { param, message })
  if (!(share > 0 && share <= 100)) throw refuse('share', 'share has to be above 0 and at most 100, in percent.')
  if (!(budgetUsd > 0)) throw refuse('budgetUsd', 'budgetUsd has to be above 0.')
  if (!(Number.isInteger(turns) && turns > 0)) throw refuse('turns', 'turns has to be a whole number above 0.')
  if (budgetUsd > env.budgetUsd)
    throw refuse('budgetUsd', `The environment permits ${env.budgetUsd} USD (PARLEY_SHADOW_USD).`)
  if (turns > env.turns) throw refuse('turns', `The environment permits ${env.turns} turns (PARLEY_SHADOW_TURNS).`)
}

/**
 * As for a rollout: what people say goes to the models of the version, so one that adds a host, or guards less in another way,
 * needs a second operator.
 */
function permitted({ versions, stable, weakeningsOf, secondOperator }: OperatorsOptions, by: Principal, name: string) {
  const entry = versions.list().find((one) => one.name === name)
  if (!entry) throw new ParleyError('config_not_found', { param: 'version' })
  const version = versions.get(name)
  if (entry.status === 'refused' || !version) throw new ParleyError('config_invalid', { param: 'version' })
  if (version.hash === stable().hash)
    throw new ParleyError('rollout_state', { message: `${name} is what serves everyone already.` })
  const needsSecond = secondOperator && !hasSecond(entry, by.id) && weakeningsOf(stable(), version).length > 0
  if (needsSecond) throw new ParleyError('second_operator_needed')
  return version
}
