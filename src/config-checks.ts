import { checkActions } from '#actions/check.ts'
import type { Check } from '#config/load.ts'
import { checkRollout } from '#config/rollout-check.ts'
import { checkModels } from '#models/check.ts'
import type { ActionsEnv, ModelsEnv, RolloutEnv } from './env.ts'

/** What config versions are checked against; goes to the thread that checks them. */
export interface ConfigCheckEnv {
  models: ModelsEnv
  actions: ActionsEnv
  rollout: RolloutEnv
  /** Names of the functions that actions may name as `builtin`. */
  functions: readonly string[]
}

/** What the modules have to say about their parts of a document. */
export function configChecks({ models, actions, rollout, functions }: ConfigCheckEnv): Check[] {
  return [
    (document) => checkModels(document, models),
    (document) => checkActions(document, { ...actions, functions }),
    (document) => checkRollout(document, rollout),
  ]
}
