import type { Rollouts, RolloutView } from '#config/rollouts.ts'
import type { Log } from '#log.ts'
import type { EventStream } from './event-stream.ts'
import { asFault } from './faults.ts'
import { renderNotice } from './sse.ts'

/** Sends the rollout at each change until the reader leaves. */
export async function relayRollout(rollouts: Pick<Rollouts, 'follow'>, stream: EventStream, log: Log): Promise<void> {
  try {
    for await (const view of rollouts.follow(stream.closed)) {
      stream.write(renderRollout(view))
      if (stream.needsDrain) await stream.drained()
    }
  } catch (error) {
    if (!stream.closed.aborted) {
      const fault = asFault(error)
      if (fault.code === 'internal') log.error({ err: fault.cause }, 'Following the rollout failed')
      stream.write(renderNotice(fault))
    }
  }
  stream.end()
}

function renderRollout(view: RolloutView): string {
  return `event: rollout\ndata: ${JSON.stringify(view)}\n\n`
}
