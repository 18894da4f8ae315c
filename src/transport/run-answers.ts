import type { FastifyReply } from 'fastify'
import type { RunView } from '#actions/actions.ts'
import { isSettled } from '#actions/port.ts'
import { ParleyError } from '#errors.ts'
import type { Principal } from '#identity/principal.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import { etagOf } from './etag.ts'
import { asFault } from './faults.ts'
import { checkCharacters } from './message-text.ts'
import type { ServedActions } from './native-deps.ts'
import { clientGone } from './request-context.ts'
import type { Routes } from './routing.ts'

const RUN_ID = /^run_[0-9a-f]{32}$/

/** What cannot be the id of a run is none. */
export function checkRunId(id: string): string {
  if (!RUN_ID.test(id)) throw new ParleyError('run_not_found')
  return id
}

/** Words that one person leaves for others to read. */
export function checkReason(text: string, param: string): string {
  if (text.trim() === '') throw new ParleyError('invalid_request', { message: `\`${param}\` is empty.`, param })
  return checkCharacters(text, param)
}

export function answerRun(reply: FastifyReply, run: RunView, status = 200): FastifyReply {
  return reply.code(status).header('etag', etagOf(run)).send(run)
}

export interface RunWait {
  principal: Principal
  run: RunView
  waitMs: number
  reply: FastifyReply
}

/**
 * Waits within a request until a run is settled, at most `waitMs`, and gives the run as it last stood: also when the server
 * closes or the run cannot be read any more, because that it was taken on is worth knowing.
 */
export function waitingForRuns(
  routes: Routes,
  { actions, clock, log }: { actions: Pick<ServedActions, 'follow'>; clock: Clock; log: Log },
): (wait: RunWait) => Promise<RunView> {
  const closing = new AbortController()
  routes.addHook('preClose', async () => closing.abort())
  return async ({ principal, run, waitMs, reply }) => {
    let last = run
    if (isSettled(run) || waitMs === 0) return last
    const over = new AbortController()
    const stopTimer = clock.after(waitMs, () => over.abort())
    const signal = AbortSignal.any([closing.signal, over.signal, clientGone(reply)])
    try {
      for await (const view of actions.follow(principal, run.id, signal)) last = view
    } catch (error) {
      const fault = asFault(error)
      if (!signal.aborted && fault.code === 'internal') {
        log.error({ run: run.id, err: fault.cause }, 'Waiting for a run failed')
      }
    } finally {
      stopTimer()
    }
    return last
  }
}
