import { type ActionCall, type ActionPort, type FollowUp, isSettled, type Run, type RunStatus } from '#actions/port.ts'
import type { Clock } from '#platform/clock.ts'

/** Runs that change when they are told to; what settles too late for its turn is left for a follow-up. */
export interface ActionsAtHand {
  port: ActionPort
  dispatched: ActionCall[]
  withdrawn: string[]
  /** Turns that were lost. */
  reportedLater: string[]
  /** Follow-ups that are not done yet, taken ones included. */
  waiting: ReadonlyMap<string, FollowUp>
  /** How often each follow-up was noted as done. */
  done: Map<string, number>
  /** The run that was asked for as this one of all, from 0, changes. */
  change(index: number, status: RunStatus, more?: string | Pick<Run, 'output' | 'approval'>): void
  /** Leaves late results, as `change` does; `quietly` tells nobody. */
  leave(followUp: Omit<FollowUp, 'id'>, quietly?: 'quietly'): FollowUp
}

export function actionsAtHand(clock: Clock): ActionsAtHand {
  const dispatched: ActionCall[] = []
  const withdrawn: string[] = []
  const reportedLater: string[] = []
  const runs = new Map<string, { call: ActionCall; run: Run; isLate: boolean }>()
  const watchers = new Map<string, (run: Run) => void>()
  const waiting = new Map<string, FollowUp>()
  const leasedUntilMs = new Map<string, number>()
  const done = new Map<string, number>()
  const listeners = new Set<() => void>()
  let left = 0

  const port: ActionPort = {
    tools: () => [
      { type: 'function', function: { name: 'act', description: 'Acts.', parameters: { type: 'object' } } },
    ],
    async dispatch(call) {
      const { key, action } = call
      const known = runs.get(key)
      if (known) return known.run
      dispatched.push(call)
      const run: Run = { id: `run_${runs.size}`, key, action, status: 'queued', output: undefined }
      runs.set(key, { call, run, isLate: false })
      return run
    },
    settled: (run, { mostMs, identityMs = mostMs }, signal, onChange) =>
      new Promise((resolve, reject) => {
        const known = runs.get(run.key)
        const leave = () => {
          if (known) known.isLate = true
          reject(signal.reason)
        }
        if (signal.aborted) return leave()
        signal.addEventListener('abort', leave, { once: true })
        const give = () => {
          watchers.delete(run.key)
          if (known && !isSettled(known.run)) known.isLate = true
          resolve(known?.run ?? run)
        }
        let stopMissing = () => {}
        clock.after(mostMs, give)
        watchers.set(run.key, (changed) => {
          stopMissing()
          if (changed.status === 'awaiting-identity') stopMissing = clock.after(identityMs, give)
          ;(isSettled(changed) ? resolve : onChange)(changed)
        })
      }),
    withdraw: async (turn) => {
      withdrawn.push(turn)
    },
    reportLater: async (_owner, turn) => {
      reportedLater.push(turn)
    },
    takeFollowUps: async (limit, leaseMs) => {
      const now = clock.monotonic()
      const due = [...waiting.values()].filter(({ id }) => (leasedUntilMs.get(id) ?? -1) < now).slice(0, limit)
      for (const { id } of due) leasedUntilMs.set(id, now + leaseMs)
      return due
    },
    followUpDone: async (id) => {
      waiting.delete(id)
      done.set(id, (done.get(id) ?? 0) + 1)
    },
    onFollowUp: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }

  const leave: ActionsAtHand['leave'] = (late, quietly) => {
    const followUp = { id: `fu_${left++}`, ...late }
    waiting.set(followUp.id, followUp)
    if (!quietly) for (const listener of listeners) listener()
    return followUp
  }

  return {
    port,
    dispatched,
    withdrawn,
    reportedLater,
    waiting,
    done,
    leave,
    change(index, status, more) {
      const known = [...runs.values()][index]
      if (!known) throw new Error('there is no such run')
      const { approval: _, ...rest } = known.run
      known.run = { ...rest, status, ...(typeof more === 'object' ? more : { output: more }) }
      watchers.get(known.run.key)?.(known.run)
      const { turn, conversation, principal } = known.call
      if (!known.isLate || !isSettled(known.run) || conversation === undefined) return
      leave({ turn, conversation, principal, runs: [known.run] })
    },
  }
}
