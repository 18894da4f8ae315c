import { asParleyError, ParleyError } from '#errors.ts'
import type { Events, RelayEnded } from '#events/events.ts'
import { type Principal, partitionOf } from '#identity/principal.ts'
import type { Answer, AnswerSink, Segment } from '#models/answer.ts'
import type { Clock } from '#platform/clock.ts'
import type { RelayRequest } from './chat.ts'
import { groupsOf, misconfigured, spent } from './turn-ended.ts'

/** Has a request answered by `relay`, and tells what came of it. */
export async function tellingRelay(
  { clock, events }: { clock: Clock; events: Pick<Events, 'emit'> },
  principal: Principal,
  { to, abort }: RelayRequest,
  sink: AnswerSink,
  relay: (sink: AnswerSink) => Promise<Answer>,
): Promise<Answer> {
  const startedAt = clock.now()
  const startedAtMs = clock.monotonic()
  const segments: Segment[] = []
  let firstTokenMs: number | null = null

  const watched: AnswerSink = {
    frames(frames) {
      firstTokenMs ??= clock.monotonic() - startedAtMs
      sink.frames?.(frames)
    },
    speaker: (candidate) => sink.speaker?.(candidate),
    seam: (seam) => sink.seam(seam),
    ended(segment) {
      segments.push(segment)
      sink.ended(segment)
    },
    flow: (flow) => sink.flow?.(flow),
  }

  function tell(end: Pick<RelayEnded, 'status' | 'finish' | 'code'>): void {
    events.emit('relay.ended', {
      ...to.served,
      addressee: to.name,
      principal: partitionOf(principal),
      tenant: principal.tenant,
      ...groupsOf(principal),
      ...end,
      segments: segments.map(spent),
      faults: misconfigured(segments),
      firstTokenMs,
      startedAt,
      endedAt: clock.now(),
    })
  }

  try {
    const answer = await relay(watched)
    tell({ status: 'completed', finish: answer.finish, code: null })
    return answer
  } catch (error) {
    // Whoever calls it off with an error of ours says what went wrong; else the caller has left.
    const left = abort.signal.aborted && !(abort.signal.reason instanceof ParleyError)
    tell({ status: left ? 'cancelled' : 'failed', finish: null, code: left ? null : asParleyError(error).code })
    throw error
  }
}
