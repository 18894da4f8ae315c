import type { ActionPort } from '#actions/port.ts'
import { createShadowTurns } from '#chat/shadow/create.ts'
import type { ShadowTurnsOptions } from '#chat/shadow/shadow-turns.ts'
import { createShadows, type ShadowsOptions } from '#config/shadow/create.ts'
import type { Shadows } from '#config/shadow.ts'
import { createModels } from '#models/create.ts'
import type { Models } from '#models/models.ts'
import type { Providers } from '#models/providers/providers.ts'

export interface ShadowingOptions extends ShadowsOptions, Pick<ShadowTurnsOptions, 'hasConsented' | 'stops'> {
  providers: Pick<Providers, 'providerFor'>
  /** Those that serve. */
  models: Pick<Models, 'health'>
  actions: Pick<ActionPort, 'tools'>
}

export interface Shadowing {
  shadows: Shadows
  turns: ReturnType<typeof createShadowTurns>
  close(): Promise<void>
}

/** Versions that are tried on copies of turns. Its models are its own: what they come to is no news of those that serve. */
export async function openShadowing(options: ShadowingOptions): Promise<Shadowing> {
  const { providers, clock, log, versions, models: served } = options
  const { shadows, book, close } = await createShadows(options)
  const models = createModels({ providers, clock, log: log.child({ shadow: true }) })
  const turns = createShadowTurns({ ...options, book, configs: versions, models, served })
  return {
    shadows,
    turns,
    async close() {
      await turns.close()
      await close()
    },
  }
}
