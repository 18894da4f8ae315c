import { Type } from 'typebox'
import { Value } from 'typebox/value'
import type { RolloutListener, Rollouts } from '#config/rollouts.ts'
import type { Events } from '#events/events.ts'
import { type AuditOptions, createAudit } from '#governance/audit/create.ts'
import { type Refusal, Refusals } from '#governance/audit/refusals.ts'
import type { Audit } from '#governance/audit.ts'
import { partitionOf } from '#identity/principal.ts'
import type { Refused } from '#transport/refusals.ts'
import type { IdentityEnv } from './env.ts'

/** The audit log, and what modules that know nothing of it tell, in its words. */
export interface Auditing extends RolloutListener {
  audit: Audit
  /** The tenant that operates. */
  home: string
  /** Steps that a replica wrote and did not live to note. Never rejects. */
  lookBack(rollouts: Pick<Rollouts, 'history'>): Promise<void>
  /** Whom a server refused; on a machine of one's own that is nobody but oneself. */
  onRefused(refused: Refused): void
  close(): Promise<void>
}

type Step = Awaited<ReturnType<Rollouts['history']>>[number]

const LOOKED_BACK = 50
/** Of what is older, whoever was there has told. */
const NEWS_MS = 3_600_000

/** What a rollout was begun with is in the evidence of its first step: the metrics, by name, that it is not judged by. */
const Begun = Type.Object({ steps: Type.Array(Type.Unknown()), waived: Type.Array(Type.String(), { minItems: 1 }) })

export interface AuditingOptions extends AuditOptions {
  events: Pick<Events, 'emit'>
  identity: IdentityEnv
  /** There is a database: for what the system does by itself none is opened, and it stands in the history. */
  isAwake(): boolean
}

export function openAuditing({ identity, events, isAwake, ...options }: AuditingOptions): Auditing {
  const { clock, log } = options
  const audit = createAudit(options)
  const home = identity.engine === 'entra' ? identity.tenant : 'local'
  const refusals = new Refusals(audit.note, clock)

  function onStep({ epoch, at, rollout, candidate, from, to, operator, evidence }: Step): void {
    if (operator === null && (rollout === null || !isAwake())) return
    const who = { tenant: home, actor: operator === null ? null : partitionOf({ tenant: home, id: operator }) }
    const details = { epoch, rollout, from, to, ...waivedIn(evidence) }
    // Its time, since epochs come again in a container that begins anew or is put back.
    audit.note({ ...who, kind: 'rollout.moved', subject: candidate, details, id: `rollout ${epoch} ${at}`, at })
  }

  const verify: Audit['verify'] = async (tenant, seen) => {
    const verdict = await audit.verify(tenant, seen)
    // What somebody says to have seen anybody can say: whether the log holds without it is what matters, and it may not.
    const { broken } = seen && verdict.broken ? await audit.verify(tenant) : verdict
    if (broken) events.emit('audit.broken', { tenant, ...broken, at: clock.now() })
    return verdict
  }

  return {
    audit: { ...audit, verify },
    home,
    onStep,
    onMoved({ rollout, candidate, from, to, operator, reason, at }) {
      if (clock.now() - at > NEWS_MS) return
      const because = operator === null ? reason : null
      events.emit('rollout.moved', { tenant: home, rollout, candidate, from, to, because, at })
    },
    onStray: (state) => events.emit('rollout.strayed', { tenant: home, state, at: clock.now() }),
    async lookBack(rollouts) {
      try {
        for (const step of (await rollouts.history(LOOKED_BACK)).toReversed()) onStep(step)
      } catch (error) {
        log.warn({ err: error }, 'The history of rollouts could not be looked at for steps that the audit log lacks')
      }
    },
    onRefused(refused) {
      if (identity.engine === 'entra') refusals.add(refusalOf(refused, home))
    },
    async close() {
      refusals.close()
      await audit.close()
    },
  }
}

/** In whose log it stands: the home tenant's where a guest would operate, and where nobody knows who it was. */
function refusalOf({ code, param, principal }: Refused, home: string): Refusal {
  if (principal === null) {
    const kind = param === 'tid' ? 'tenant.refused' : 'sign-in.failed'
    const details = { code, ...(param === 'key' && { credential: 'key' }) }
    return { tenant: home, kind, actor: null, details }
  }
  const { tenant } = principal
  const actor = partitionOf(principal)
  const isGuestWhoWouldOperate = tenant !== home && code === 'forbidden'
  if (isGuestWhoWouldOperate) return { tenant: home, kind: 'tenant.refused', actor, details: { code, tenant } }
  return { tenant, kind: 'access.refused', actor, details: { code } }
}

function waivedIn(evidence: unknown): { waived?: string } {
  return Value.Check(Begun, evidence) ? { waived: evidence.waived.join(', ') } : {}
}
