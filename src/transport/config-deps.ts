import type { ConfigDiff } from '#config/diff.ts'
import type { ConfigVersion } from '#config/document.ts'
import type { Rollouts } from '#config/rollouts.ts'
import type { ConfigVersions } from '#config/versions.ts'
import type { RolloutEnv } from '#env.ts'

/** What operators reach of config versions and of their rollout. */
export interface ServedConfig {
  versions: Pick<ConfigVersions, 'get' | 'list' | 'source' | 'push' | 'check' | 'approve' | 'refresh'>
  rollouts: Rollouts
  diff(from: ConfigVersion, to: ConfigVersion): ConfigDiff
  env: Pick<RolloutEnv, 'eventGridKey'>
}
