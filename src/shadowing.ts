import type { ActionPort } from '#actions/port.ts'
import { createShadowTurns } from '#chat/shadow/create.ts'
import { createLoadGauge } from '#chat/shadow/load-gauge.ts'
import type { ShadowTurnsOptions } from '#chat/shadow/shadow-turns.ts'
import { weakeningsOf } from '#config/diff/diff-configs.ts'
import type { Serving } from '#config/serving.ts'
import { createShadows, type ShadowsOptions } from '#config/shadow/create.ts'
import type { Shadows } from '#config/shadow.ts'
import type { Ledger } from '#governance/ledger.ts'
import { createModels } from '#models/create.ts'
import type { Models } from '#models/models.ts'
import type { Providers } from '#models/providers/providers.ts'
import type { Env } from './env.ts'

export interface ShadowingOptions
  extends Pick<ShadowsOptions, 'kv' | 'versions' | 'clock' | 'log' | 'note'>,
    Pick<ShadowTurnsOptions, 'hasConsented' | 'stops'> {
  env: Pick<Env, 'shadow' | 'rollout' | 'identity'>
  serving: Pick<Serving, 'stable'>
  providers: Pick<Providers, 'providerFor'>
  /** Those that serve. */
  models: Pick<Models, 'health'>
  actions: Pick<ActionPort, 'tools'>
  ledger: Pick<Ledger, 'copyEnded'>
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
  const {
    env,
    serving,
    providers,
    ledger,
    clock,
    log,
    versions,
    models: served,
    isLoaded = createLoadGauge(clock),
  } = options
  const { shadows, book, close } = await createShadows({
    ...options,
    stable: () => serving.stable(),
    weakeningsOf,
    env: env.shadow,
    secondOperator: env.rollout.secondOperator,
  })
  const models = createModels({ providers, clock, log: log.child({ shadow: true }) })
  // The organisation that operates tries it, whoever's turns are copied.
  const tenant = env.identity.engine === 'entra' ? env.identity.tenant : 'local'
  const spent: ShadowTurnsOptions['spent'] = (copy) => ledger.copyEnded({ ...copy, tenant })
  const turns = createShadowTurns({ ...options, book, configs: versions, models, served, isLoaded, spent })
  return {
    shadows,
    turns,
    async close() {
      await turns.close()
      await close()
    },
  }
}
