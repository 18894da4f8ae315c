import { ParleyError } from '#errors.ts'
import type { Principal } from '#identity/principal.ts'
import type { Decision, Rollouts, RolloutView } from '../rollouts.ts'
import type { Beginnings } from './beginning.ts'
import type { SharedState } from './shared-state.ts'
import { advance, type Occasion, pause, resume } from './transitions.ts'

export interface OperatorsOptions {
  shared: SharedState
  beginnings: Beginnings
  /** One at a time on this replica, with what it does by itself; then looks what followed. */
  inTurn(work: () => Promise<void>): Promise<void>
  /** By the clock that the state's times are of. */
  now(): Promise<number>
  view(): RolloutView
}

/** What operators decide, each on the state that they have seen. */
export function createOperators({
  shared,
  beginnings,
  inTurn,
  now,
  view,
}: OperatorsOptions): Pick<Rollouts, 'start' | 'promote' | 'pause' | 'resume' | 'rollback' | 'restore'> {
  /** What was seen has to be what is there, also when it was another replica that changed it. */
  async function decide(by: Principal, ifMatch: string, work: () => Promise<void>): Promise<RolloutView> {
    if (!by.roles.some((role) => role === 'Config.Operator' || role === 'Admin')) throw new ParleyError('forbidden')
    await inTurn(async () => {
      await shared.look()
      if (ifMatch !== shared.etag) throw new ParleyError('version_conflict')
      await work()
    })
    return view()
  }

  /** With the figures that there were, whatever the person made of them. */
  async function occasion(by: Principal, { reason }: Decision): Promise<Occasion> {
    const { figures } = view()
    return { by: by.name, operator: by.id, reason, evidence: figures && { figures }, at: await now() }
  }

  return {
    start: (by, { version, waive = [], ifMatch }) =>
      decide(by, ifMatch, () => {
        const starter = { by: by.name, operator: by.id, reason: `Started by ${by.name}.`, waived: waive }
        return beginnings.beginByHand(version, starter)
      }),

    promote: (by, decision) =>
      decide(by, decision.ifMatch, async () => {
        const why = await occasion(by, decision)
        await shared.move((state) => advance(state, why))
      }),

    pause: (by, decision) =>
      decide(by, decision.ifMatch, async () => {
        const why = await occasion(by, decision)
        await shared.move((state) => pause(state, 'operator', why))
      }),

    resume: (by, decision) =>
      decide(by, decision.ifMatch, async () => {
        const why = await occasion(by, decision)
        const isLost = shared.present.live?.paused?.cause === 'counters-lost'
        const anew = isLost ? await beginnings.anew() : undefined
        await shared.move((state) => resume(state, anew, why))
      }),

    rollback: (by, decision) =>
      decide(by, decision.ifMatch, async () => shared.rollBackBy(await occasion(by, decision))),

    restore: (by, decision) =>
      decide(by, decision.ifMatch, async () => shared.restoreBy(await occasion(by, decision), decision.take)),
  }
}
