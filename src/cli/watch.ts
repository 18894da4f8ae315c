import { setTimeout as wait } from 'node:timers/promises'
import type { RolloutView } from '#config/rollouts.ts'
import type { Call } from './command.ts'
import { Refused } from './faults.ts'
import { placeOf, renderLine } from './render-rollout.ts'

const AGAIN_MS = 1000

/**
 * A line for each change until it is told to stop. On a terminal a new verdict takes the place of the last one, and a transition
 * begins a new line; a process that goes away is asked again.
 */
export async function watch({ client, host, flag }: Call, path: string): Promise<void> {
  const { out, columns, signal } = host
  let shown: { place: string; line: string } | undefined

  function show(data: string): void {
    const view = JSON.parse(data) as RolloutView
    if (flag('json')) return out(`${JSON.stringify(view)}\n`)
    const next = { place: placeOf(view), line: renderLine(view) }
    if (next.line === shown?.line) return
    const time = new Date().toISOString().slice(11, 19)
    const line = `${time}  ${next.line}`
    if (columns === undefined) out(`${line}\n`)
    else out(`${shown?.place === next.place ? '\r\u001b[2K' : shown ? '\n' : ''}${line.slice(0, columns - 1)}`)
    shown = next
  }

  for (let isFirst = true; !signal.aborted; isFirst = false) {
    try {
      for await (const { type, data } of client.events(path)) if (type === 'rollout') show(data)
    } catch (error) {
      if (signal.aborted) break
      // What is refused the first time is refused for good; later it is the process that restarts, or says that it is about to.
      if (isFirst || (error instanceof Refused && !error.isPassing)) throw error
    }
    await wait(AGAIN_MS, undefined, { signal }).catch(() => {})
  }
  if (columns !== undefined && shown) out('\n')
}
