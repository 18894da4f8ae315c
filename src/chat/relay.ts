import type { ConfigVersion } from '#config/document.ts'
import { ParleyError } from '#errors.ts'
import type { Answer, AnswerSink } from '#models/answer.ts'
import type { Models } from '#models/models.ts'
import type { RelayRequest } from './chat.ts'
import { notStopped } from './not-stopped.ts'
import { routeCandidates } from './prepare.ts'
import type { ChatRoom } from './turn-context.ts'

/** Passes a request through to the models of a route, with a specialist's instructions before it where one was named. */
export function relay(
  models: Pick<Models, 'answer'>,
  config: ConfigVersion,
  { to, messages, parameters, abort, traceparent }: RelayRequest,
  sink: AnswerSink,
  stops: ChatRoom['stops'],
): Promise<Answer> {
  const specialist = to.kind === 'specialist' ? config.document.specialists[to.name] : undefined
  const route = specialist?.route ?? to.name
  const prompt = specialist ? [{ role: 'system' as const, content: specialist.instructions }, ...messages] : messages
  const candidates = notStopped(routeCandidates(config, route), stops)
  if (candidates.length === 0) throw new ParleyError('model_not_found', { param: 'model' })
  const timers = config.document.routes[route] ?? {}
  const { signal } = abort
  const asked = { candidates, timers, parameters, messages: () => prompt, mode: 'relay' as const, signal, traceparent }
  return models.answer(asked, sink)
}
