import { ParleyError } from '#errors.ts'
import type { Kv } from '#platform/kv/kv.ts'
import { type Counted, type Counters, counted, type StepCounts } from '../counters.ts'
import type { RollbackOrder } from '../rollback-order.ts'
import { noteBreach } from './breach.ts'
import { counterKeys, KEPT_MS, newsKey, trialKey, unitKey } from './keys.ts'
import { observe, RECENT } from './observe.ts'
import { addTo, beginCounters, readCounters } from './records.ts'
import { closeTrials, dueTrials } from './trials.ts'

/** What was seen of one unit, for counters of one rollout. */
export interface Observation {
  rollout: string
  step: number
  arm: 'canary' | 'control'
  unit: string
  bad: readonly Counted[]
  /**
   * Of a turn: `fault` where a model of the version cannot but fail, `aside` where a circuit kept it from its first model, which
   * says nothing of that; undefined for outcomes of another kind.
   */
  turn: 'ok' | 'failed' | 'fault' | 'aside' | undefined
  /** Whose first turn in a step is a trial. */
  trialOf: string
}

const CLOSED_AT_ONCE = 100
/** What befalls stable within this of what befalls the canary is the same trouble. */
const SAME_TIME_MS = 60_000
const recentFields = Array.from({ length: RECENT }, (_, n) => `r${n}`)
const loneFields = ['began', 'units', 'inRow', 'breachAt', 'canaryAt'] as const

/** The counters of rollouts in the live state's store. What grows: a small record per unit of the canary, per bad unit of stable, and per owner of trials. */
export function createCounterStore(kv: Kv, { trialClosesMs }: { trialClosesMs: number }) {
  return {
    /** Answers the store's time. */
    begin: (rollout: string): Promise<number> => kv.run(beginCounters, [counterKeys(rollout).counts], [KEPT_MS]),

    /** Once per unit and metric, however often it is told. True when it may change a verdict. */
    async observe({ rollout, step, arm, unit, bad, turn, trialOf }: Observation): Promise<boolean> {
      const { counts, open } = counterKeys(rollout)
      const unitRecord = unitKey(rollout, unit)
      const member = turn === undefined ? '' : trialMember(step, unitRecord)
      const keys = [counts, unitRecord, trialKey(rollout, trialOf), open]
      const args = [arm, step, turn ?? '', member, trialClosesMs, KEPT_MS, SAME_TIME_MS, ...bad]
      const { news, inRow } = await kv.run(observe, keys, args)
      return arm === 'canary' && (news > 0 || inRow > 1)
    },

    /** A budget came to its end by this arm. True when it may change a verdict. */
    breached: (rollout: string, arm: Observation['arm']): Promise<boolean> =>
      kv.run(noteBreach, [counterKeys(rollout).counts], [arm, SAME_TIME_MS, KEPT_MS]),

    /** Trials of stable, for people to see: counted together now and then. */
    addControl: (rollout: string, step: number, trials: number): Promise<void> =>
      kv.run(addTo, [counterKeys(rollout).counts], [KEPT_MS, `control:${step}`, trials]),

    async closeTrials(rollout: string): Promise<void> {
      const { counts, open } = counterKeys(rollout)
      for (;;) {
        const due = await kv.run(dueTrials, [open], [CLOSED_AT_ONCE])
        if (due.length === 0) return
        const trials = due.map((member) => ({ member, ...readTrialMember(member) }))
        const units = trials.map(({ unit }) => unitKey(rollout, unit))
        await kv.run(
          closeTrials,
          [counts, open, ...units],
          trials.flatMap(({ member, step }) => [member, step]),
        )
        if (due.length < CLOSED_AT_ONCE) return
      }
    },

    /** `lost` when the store has forgotten them. `now` is the store's. */
    async read(rollout: string, steps: number): Promise<{ now: number; counters: Counters | 'lost' }> {
      const fields = [
        ...loneFields,
        ...recentFields,
        ...Array.from({ length: steps }, (_, step) => stepFields(step)).flat(),
      ]
      const { now, values } = await kv.run(readCounters, [counterKeys(rollout).counts], [KEPT_MS, ...fields])
      const of = new Map(fields.map((field, at) => [field, values[at] ?? 0]))
      const value = (field: string) => of.get(field) ?? 0
      return { now, counters: value('began') === 0 ? 'lost' : countersOf(value, steps) }
    },

    /** The first order stands, and is answered. */
    async order(order: RollbackOrder): Promise<RollbackOrder> {
      const at = counterKeys(order.rollout).order
      const isFirst = await kv.put(at, Buffer.from(JSON.stringify(order)), { ifVersion: 0, ttlMs: KEPT_MS })
      if (isFirst === undefined) return (await this.ordered(order.rollout)) ?? order
      // Who does not hear of it finds it at the next look.
      await kv.signal(newsKey).catch(() => {})
      return order
    },

    async ordered(rollout: string): Promise<RollbackOrder | undefined> {
      const found = await kv.get(counterKeys(rollout).order)
      return found && (JSON.parse(found.value.toString()) as RollbackOrder)
    },
  }
}

export type CounterStore = ReturnType<typeof createCounterStore>

function stepFields(step: number): string[] {
  const bad = counted.flatMap((name) => [`${name}:${step}:canary`, `${name}:${step}:control`])
  return [...bad, `closed:${step}`, `errors:${step}`, `control:${step}`]
}

function countersOf(value: (field: string) => number, steps: number): Counters {
  const units = value('units')
  const newest = Array.from({ length: Math.min(units, RECENT) }, (_, back) => units - back).reverse()
  return {
    steps: Array.from({ length: steps }, (_, step) => stepOf(value, step)),
    recent: newest.map((n) => value(`r${n % RECENT}`) === 1),
    faultsInRow: value('inRow'),
    breachAt: value('breachAt') || null,
    lastCanaryAt: value('canaryAt') || null,
  }
}

function stepOf(value: (field: string) => number, step: number): StepCounts {
  const bad = counted.map((name) => [
    name,
    { canary: value(`${name}:${step}:canary`), control: value(`${name}:${step}:control`) },
  ])
  const trials = {
    canary: value(`closed:${step}`),
    errors: value(`errors:${step}`),
    control: value(`control:${step}`),
  }
  return { bad: Object.fromEntries(bad), trials }
}

/** The step, and the unit as its record is named. */
function trialMember(step: number, unitRecord: string): string {
  return `${step} ${unitRecord.slice(unitRecord.indexOf('unit:') + 'unit:'.length)}`
}

function readTrialMember(member: string): { step: number; unit: string } {
  const [step, unit] = member.split(' ')
  if (unit === undefined) throw new ParleyError('internal')
  return { step: Number(step), unit }
}
