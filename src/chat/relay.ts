import type { ConfigVersion } from '#config/document.ts'
import { ParleyError } from '#errors.ts'
import type { Answer, AnswerSink } from '#models/answer.ts'
import type { Models } from '#models/models.ts'
import type { Addressee, RelayRequest } from './chat.ts'
import { routeCandidates } from './prepare.ts'

/** What the OpenAI-compatible surface offers under `model`: specialists and routes; a specialist goes before a route of its name. */
export function addresseesOf(config: ConfigVersion): Addressee[] {
  const { specialists, routes } = config.document
  const bare = Object.keys(routes).filter((name) => !Object.hasOwn(specialists, name))
  return [...Object.keys(specialists), ...bare].map((name) => addresseeOf(config, name))
}

export function addresseeOf(config: ConfigVersion, model: string): Addressee {
  const { specialists, routes } = config.document
  const specialist = Object.hasOwn(specialists, model) ? specialists[model] : undefined
  if (specialist) {
    const { actions = [] } = specialist
    return { name: model, kind: 'specialist', opensTurn: actions.length > 0, actions, config: config.name }
  }
  if (!Object.hasOwn(routes, model)) throw new ParleyError('model_not_found', { param: 'model' })
  return { name: model, kind: 'route', opensTurn: false, actions: [], config: config.name }
}

/** Passes a request through to the models of a route, with a specialist's instructions before it where one was named. */
export function relay(
  models: Models,
  config: ConfigVersion,
  { to, messages, parameters, abort }: RelayRequest,
  sink: AnswerSink,
): Promise<Answer> {
  const specialist = to.kind === 'specialist' ? config.document.specialists[to.name] : undefined
  const route = specialist?.route ?? to.name
  const prompt = specialist ? [{ role: 'system' as const, content: specialist.instructions }, ...messages] : messages
  const candidates = routeCandidates(config, route)
  if (candidates.length === 0) throw new ParleyError('model_not_found', { param: 'model' })
  const timers = config.document.routes[route] ?? {}
  const { signal } = abort
  return models.answer({ candidates, timers, parameters, messages: () => prompt, mode: 'relay', signal }, sink)
}
