import { assignFor, type Has, pickVersion } from '#config/assigning.ts'
import type { ConfigVersion } from '#config/document.ts'
import type { Serving } from '#config/serving.ts'
import { ParleyError } from '#errors.ts'
import type { Principal } from '#identity/principal.ts'
import { newId } from '#ids.ts'
import type { Addressed, Addressee } from './chat.ts'

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
  if (!Object.hasOwn(routes, model)) {
    const message = '`model` names no specialist and no route; `GET /v1/models` lists those that there are.'
    throw new ParleyError('model_not_found', { message, param: 'model' })
  }
  return { name: model, kind: 'route', opensTurn: false, actions: [], config: config.name }
}

/** For one request. Its unit is the id of the turn that it opens, if it opens one. */
export function address(serving: Serving, principal: Principal, model: string, version?: string): Addressed {
  const unit = newId('turn')
  const names: Has = ({ document: { specialists, routes } }) =>
    Object.hasOwn(specialists, model) || Object.hasOwn(routes, model)
  const { config, arm, cohort } =
    version === undefined ? assignFor(serving, unit, names) : pickVersion(serving, principal, version)
  return { ...addresseeOf(config, model), served: { config: config.name, arm, cohort, unit } }
}

export function hasSpecialist(specialist: string): Has {
  return ({ document: { specialists } }) => Object.hasOwn(specialists, specialist)
}
