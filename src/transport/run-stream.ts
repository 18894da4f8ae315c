import type { FastifyRequest } from 'fastify'
import type { RunView } from '#actions/actions.ts'
import { ParleyError } from '#errors.ts'
import type { Principal } from '#identity/principal.ts'
import type { Log } from '#log.ts'
import type { EventStream } from './event-stream.ts'
import { asFault } from './faults.ts'
import type { ServedActions } from './native-deps.ts'
import { renderNotice } from './sse.ts'

const EVENT_ID = /^(run_[0-9a-f]{32})\.(\d{1,15})$/

export interface RunReading {
  actions: Pick<ServedActions, 'follow'>
  principal: Principal
  run: string
  /** The version that the reader has; -1 for none. */
  seen: number
}

/** The version of the run in the last event that the reader got, -1 for none. The id of such an event is run and version. */
export function versionSeen({ headers }: FastifyRequest, run: string): number {
  const given = headers['last-event-id']
  if (given === undefined || given === '') return -1
  const param = 'last-event-id'
  const [, of, version] = EVENT_ID.exec(String(given)) ?? []
  if (of === undefined) throw new ParleyError('bad_position', { message: 'This is not the id of an event.', param })
  if (of !== run) throw new ParleyError('bad_position', { message: 'This event is of another run.', param })
  return Number(version)
}

/** Sends the run at each change until it is settled or the reader leaves. */
export async function relayRun(reading: RunReading, stream: EventStream, log: Log): Promise<void> {
  const { actions, principal, run, seen } = reading
  try {
    for await (const view of actions.follow(principal, run, stream.closed)) {
      if (view.version <= seen) continue
      stream.write(renderRun(view))
      if (stream.needsDrain) await stream.drained()
    }
  } catch (error) {
    if (!stream.closed.aborted) {
      const fault = asFault(error)
      if (fault.code === 'internal') log.error({ run, err: fault.cause }, 'Following a run failed')
      stream.write(renderNotice(fault))
    }
  }
  stream.end()
}

function renderRun(view: RunView): string {
  return `id: ${view.id}.${view.version}\nevent: run\ndata: ${JSON.stringify(view)}\n\n`
}
