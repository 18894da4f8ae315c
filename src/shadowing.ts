import type { ActionPort } from '#actions/port.ts'
import { createShadowTurns } from '#chat/shadow/create.ts'
import { createLoadGauge } from '#chat/shadow/load-gauge.ts'
import type { ShadowTurnsOptions } from '#chat/shadow/shadow-turns.ts'
import { diffConfigs } from '#config/diff/diff-configs.ts'
import type { Serving } from '#config/serving.ts'
import { createShadows, type ShadowsOptions } from '#config/shadow/create.ts'
import type { Shadows } from '#config/shadow.ts'
import { createModels } from '#models/create.ts'
import type { Models } from '#models/models.ts'
import type { Providers } from '#models/providers/providers.ts'
import type { Env } from './env.ts'

export interface ShadowingOptions
  extends Pick<ShadowsOptions, 'kv' | 'versions' | 'clock' | 'log' | 'note'>,
    Pick<ShadowTurnsOptions, 'hasConsented' | 'stops'> {
  env: Pick<Env, 'shadow' | 'rollout'>
  serving: Pick<Serving, 'stable'>
  providers: Pick<Providers, 'providerFor'>
  /** Those that serve. */
  models: Pick<Models, 'health'>
  actions: Pick<ActionPort, 'tools'>
  /** By the event loop when absent. */
  isLoaded: (() => boolean) | undefined
}

export interface Shadowing {
  shadows: Shadows
  turns: ReturnType<typeof createShadowTurns>
  close(): Promise<void>
}

/** Versions that are tried on copies of turns. Its models are its own: what they come to is no news of those that serve. */
export async function openShadowing(options: ShadowingOptions): Promise<Shadowing> {
  const { env, serving, providers, clock, log, versions, models: served, isLoaded = createLoadGauge(clock) } = options
  const { shadows, book, close } = await createShadows({
    ...options,
    stable: () => serving.stable(),
    diff: diffConfigs,
    env: env.shadow,
    secondOperator: env.rollout.secondOperator,
  })
  const models = createModels({ providers, clock, log: log.child({ shadow: true }) })
  const turns = createShadowTurns({ ...options, book, configs: versions, models, served, isLoaded })
  return {
    shadows,
    turns,
    async close() {
      await turns.close()
      await close()
    },
  }
}
