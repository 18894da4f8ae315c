import { awayCases } from './config-versions/away.ts'
import type { Containers } from './config-versions/grounds.ts'
import { immutableCases } from './config-versions/immutable.ts'
import { pushingCases } from './config-versions/pushing.ts'

/** What holds for config versions, whatever store they come from. */
export function configVersionsContract(engine: string, containers: () => Promise<Containers>): void {
  immutableCases(engine, containers)
  awayCases(engine, containers)
  pushingCases(engine, containers)
}
