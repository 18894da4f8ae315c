import { ParleyError } from '#errors.ts'
import { stopError } from '#governance/stops.ts'
import type { Answer, AnswerRequest, AnswerSink, Candidate } from '#models/answer.ts'
import type { ChatRoom } from './turn-context.ts'

/** Without the models that operators have stopped. Throws killed when that leaves none. */
export function notStopped(candidates: readonly Candidate[], stops: ChatRoom['stops']): readonly Candidate[] {
  const left = candidates.filter(({ name }) => !stops?.found({ model: name }))
  if (left.length === 0 && candidates.length > 0) throw new ParleyError('killed')
  return left
}

/** An answer that ends as killed when the model that is asked is stopped, whether it speaks by then or not. */
export async function answerUnlessStopped(
  { models, stops }: Pick<ChatRoom, 'models' | 'stops'>,
  request: AnswerRequest,
  sink: AnswerSink,
): Promise<Answer> {
  if (!stops) return models.answer(request, sink)
  const { signal } = request
  const abort = new AbortController()
  const follow = () => abort.abort(signal.reason)
  if (signal.aborted) follow()
  else signal.addEventListener('abort', follow, { once: true })
  let model: string | undefined
  const look = () => {
    const stop = model === undefined ? undefined : stops.found({ model })
    if (stop) abort.abort(stopError(stop))
  }
  const stopHearing = stops.onChange(look)
  const before: AnswerRequest['before'] = async (candidate, messages, parameters) => {
    model = candidate.name
    look()
    abort.signal.throwIfAborted()
    await request.before?.(candidate, messages, parameters)
  }
  try {
    return await models.answer({ ...request, before, signal: abort.signal }, sink)
  } finally {
    stopHearing()
    signal.removeEventListener('abort', follow)
  }
}
