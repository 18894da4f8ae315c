import { isTerminal } from '#chat/turn-events.ts'
import type { EventStream } from '../event-stream.ts'
import { type CompletionCall, failStream, openCompletionStream } from './completion-call.ts'
import { TurnChunks } from './turn-chunks.ts'
import { openTurn, wireOf } from './turn-of-request.ts'

/** Streams the answer of a specialist that may call actions, from its first text on. */
export async function streamTurn(call: CompletionCall): Promise<void> {
  const { asked, clock, limits } = call
  const turn = await openTurn(call)
  const chunks = new TurnChunks(wireOf(call, turn), asked.includeUsage)
  let stream: EventStream | undefined
  const open = () => {
    stream ??= openCompletionStream(call, chunks.model)
    return stream
  }
  // Actions may take long; whatever stands in between should not take their silence for the end.
  const callOff = clock.after(limits.heartbeatMs, open)
  try {
    for await (const events of turn.events) {
      for (const event of events) {
        for (const frame of chunks.framesOf(event)) open().write(frame)
        if (isTerminal(event.type)) open().end()
      }
      if (stream?.needsDrain) await stream.drained()
    }
  } catch (error) {
    if (!stream) throw error
    failStream(call, stream, error)
  } finally {
    callOff()
  }
}
