import type { Fault, ModelsDocument } from './models-document.ts'
import { promptRoom } from './prompt-room.ts'
import type { ModelSpec } from './schema.ts'

/** What is never left out of a history beside instructions and actions: a short message, and the note of what is left out. */
const LEAST_MESSAGE_TOKENS = 64
const CHARACTERS_PER_TOKEN = 4

/**
 * Whether each model of a route can take what the first one would get: tools, the history, and of each specialist that answers by
 * this route all that is never left out to make room. Histories longer than a smaller window are compacted; so a window may be
 * smaller, as long as the instructions and the actions fit in, at four characters to a token.
 */
export function checkRoutes({ models, routes, specialists = {}, actions = {} }: ModelsDocument): Fault[] {
  const lengths = new Map<string, number>()
  const lengthOf = (action: string) =>
    lengths.getOrInsertComputed(action, () => JSON.stringify({ name: action, ...offered(actions[action]) }).length)
  const specOf = (model: string) => (Object.hasOwn(models, model) ? models[model] : undefined)

  const fallbackFaults = Object.entries(routes).flatMap(
    ([
      route,
      {
        models: [first = '', ...rest],
      },
    ]) =>
      rest.flatMap((model, index) => {
        const [stoodInFor, spec] = [specOf(first), specOf(model)]
        if (!stoodInFor || !spec) return []
        const path = ['routes', route, 'models', index + 1]
        return misfitsOf(spec, stoodInFor, first).map((why) => ({ path, message: `${model} cannot stand in: ${why}` }))
      }),
  )

  const specialistFaults = Object.entries(specialists).flatMap(([name, specialist]) => {
    const route = Object.hasOwn(routes, specialist.route) ? routes[specialist.route] : undefined
    const first = route?.models[0] ?? ''
    const own = (specialist.actions ?? []).filter((action) => Object.hasOwn(actions, action))
    const faults: Fault[] = []
    const why = own.length > 0 && actionMisfit(specOf(first))
    if (why) faults.push({ path: ['specialists', name, 'actions'], message: `cannot be called by ${first}: ${why}` })
    const needed = neededTokens(specialist.instructions.length + own.reduce((sum, action) => sum + lengthOf(action), 0))
    for (const model of route?.models ?? []) {
      const spec = specOf(model)
      if (!spec || needed <= promptRoom(spec)) continue
      const message = `with the actions take ${needed} tokens, more than the window of ${model} has beside the answer: ${promptRoom(spec)}`
      faults.push({ path: ['specialists', name, 'instructions'], message })
    }
    return faults
  })
  return [...fallbackFaults, ...specialistFaults]
}

function misfitsOf(spec: ModelSpec, first: ModelSpec, name: string): string[] {
  return [
    ...(spec.tools === false && first.tools !== false ? [`it takes no tools, and ${name} does`] : []),
    ...(spec.reasoningHistory === 'required'
      ? ['it asks for its own reasoning in the history, which holds what others have said']
      : []),
  ]
}

function actionMisfit(spec: ModelSpec | undefined): string | undefined {
  if (spec?.tools === false) return 'it takes no tools'
  if (spec?.reasoningHistory === 'required') return 'it asks for its reasoning behind earlier calls, which is not kept'
  return undefined
}

/** What a model is told of an action. */
function offered(action: { description: string; parameters: unknown } | undefined) {
  return action && { description: action.description, parameters: action.parameters }
}

function neededTokens(characters: number): number {
  return Math.ceil(characters / CHARACTERS_PER_TOKEN) + LEAST_MESSAGE_TOKENS
}
