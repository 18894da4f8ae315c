import type { ConfigVersion } from '#config/document.ts'

export interface PinnedConfigs {
  /** Undefined for a version that is gone. Rejects with blob_unavailable for one that may only be out of reach. */
  find(name: string): Promise<ConfigVersion | undefined>
  current(): ConfigVersion
}

/** The version that a run was asked for under. Where it is gone, the present one does it, if what was asked for still fits. */
export async function configOf(configs: PinnedConfigs, { config }: { config: string }): Promise<ConfigVersion> {
  return (await configs.find(config)) ?? configs.current()
}
