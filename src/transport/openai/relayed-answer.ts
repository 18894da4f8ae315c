import type { LimitFigures } from '#errors.ts'
import type { AnswerSink, Segment } from '#models/answer.ts'
import { limitHeaders } from '../limit-headers.ts'
import type { CompletionCall } from './completion-call.ts'
import { CompletionFold } from './completion-fold.ts'
import { accountOf } from './usage.ts'

/** Sends the answer of a route whole, folded from what the provider streams. */
export async function sendRelayed({ chat, principal, asked, over, reply }: CompletionCall): Promise<void> {
  const { to, messages, parameters } = asked
  const segments: Segment[] = []
  let fold = new CompletionFold()
  const sink: AnswerSink = {
    frames: (frames) => fold.add(frames),
    seam: ({ reset }) => {
      // Nobody has seen any of it yet.
      if (reset) fold = new CompletionFold()
    },
    ended: (segment) => segments.push(segment),
  }
  const traceparent = reply.request.traceparent ?? undefined
  const onLimits = (limits: LimitFigures) => void reply.headers(limitHeaders(limits))
  const request = { to, messages, parameters, abort: over, traceparent, onLimits }
  const { wire, model, finish } = await chat.relay(principal, request, sink)
  reply.header('x-parley-model', model).send({ ...fold.completion(wire, finish), ...accountOf(segments) })
}
