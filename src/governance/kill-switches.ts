import { ParleyError } from '#errors.ts'
import type { Events } from '#events/events.ts'
import { idAsInTokens, type Principal, partitionOf } from '#identity/principal.ts'
import type { Clock } from '#platform/clock.ts'
import type { AuditEntry } from './audit.ts'
import { isSwitchScope, type Stop, type Stops } from './stops.ts'

export interface KillSwitches {
  list(): readonly Stop[]
  /** In force on every replica within half a second. Rejects with invalid_request, state_unavailable. */
  set(by: Principal, scope: string, reason: string): Promise<Stop>
  /** Rejects with not_found, state_unavailable. */
  lift(by: Principal, scope: string): Promise<void>
}

interface KillSwitchesOptions {
  stops: Stops
  clock: Clock
  /** Of what has happened: who stops everything does not wait for a database. */
  note(entry: AuditEntry): unknown
  events: Pick<Events, 'emit'>
}

/** What operators stop and let go on: everything, a tenant, a specialist, a model or an action. */
export function createKillSwitches({ stops, clock, note, events }: KillSwitchesOptions): KillSwitches {
  function noteSwitch(by: Principal, scope: string, on: boolean): void {
    const { tenant } = by
    note({ tenant, kind: 'kill-switch.set', actor: partitionOf(by), subject: scope, details: { on }, at: clock.now() })
  }

  return {
    list: () => stops.list().filter(({ scope }) => isSwitchScope(scope)),

    async set(by, given, reason) {
      const scope = asInTokens(given)
      if (!isSwitchScope(scope)) {
        const message = 'A scope is all, or tenant:, specialist:, model: or action: with a name.'
        throw new ParleyError('invalid_request', { message, param: 'scope' })
      }
      const stop = { scope, reason, by: partitionOf(by), at: clock.now(), until: null }
      await stops.set(stop)
      noteSwitch(by, scope, true)
      events.emit('kill-switch.set', { tenant: by.tenant, scope, at: stop.at })
      return stop
    },

    async lift(by, given) {
      const scope = asInTokens(given)
      if (!isSwitchScope(scope) || !(await stops.lift(scope))) throw new ParleyError('not_found')
      noteSwitch(by, scope, false)
    },
  }
}

/** What names a tenant: otherwise written, it would seem to hold and stop nobody. */
function asInTokens(scope: string): string {
  const [, tenant] = /^tenant:(.*)$/.exec(scope) ?? []
  return tenant === undefined ? scope : `tenant:${idAsInTokens(tenant)}`
}
