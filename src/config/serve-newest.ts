import { ParleyError } from '#errors.ts'
import type { Assignment, Serving } from './serving.ts'
import type { ConfigVersions } from './versions.ts'

/** Without rollouts everyone gets the newest sound version, and conversations move to it at their next turn. */
export function serveNewest(versions: Pick<ConfigVersions, 'get' | 'newest' | 'onChange'>): Serving {
  const assign = (): Assignment => ({ config: versions.newest(), arm: 'stable', cohort: '' })

  function pick(name: string): Assignment {
    const config = versions.get(name)
    if (!config) throw new ParleyError('config_not_found')
    return { config, arm: 'stable', cohort: 'picked' }
  }

  return {
    stable: () => versions.newest(),
    candidate: () => undefined,
    assign,
    pick,
    resolve: ({ config, cohort }) => (cohort === 'picked' && versions.get(config) ? pick(config) : assign()),
    rolledBackSince: () => false,
    inUse: () => [versions.newest()],
    onChange: (listener) => versions.onChange(listener),
  }
}
