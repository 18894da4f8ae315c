import { readFileSync } from 'node:fs'
import type { Plan } from '../../test/support/upstream.ts'

/** What the provider answers, by the name of the model; all that a version of the fleet can get wrong. */
export const answers: Readonly<Record<string, Plan>> = {
  'gpt-steady': { tokens: 12 },
  // Mistyped: there is no such model.
  'gpt-staedy': { status: 404 },
  'gpt-choosy': { status: 400 },
  'gpt-broken': { status: 500 },
}

export interface VersionChange {
  description: string
  model: string
  /** What the first sentence of Apollo's instructions says. */
  apolloIs?: string
}

/** The version that ships, on one model of the provider: what becomes of its turns is decided by that model. */
export function versionText({ description, model, apolloIs = 'an operations analyst' }: VersionChange): string {
  const shipped = readFileSync(new URL('../../config-versions/v002.yaml', import.meta.url), 'utf8')
  const limits = 'contextWindow: 128000, continuation: restart, price: { input: 0.4, output: 1.6 }'
  return shipped
    .replace(/^description: .*$/m, `description: ${description}`)
    .replace(/^models:\n(?: .*\n|\n)+/m, `models:\n  primary: { provider: openai, model: ${model}, ${limits} }\n\n`)
    .replace('models: [primary, backup]', 'models: [primary]')
    .replace('You are Apollo, an operations analyst.', `You are Apollo, ${apolloIs}.`)
}
