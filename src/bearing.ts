import { createShedding, type Shedding } from '#governance/shedding.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import { collectGarbage, processLoadReader } from '#platform/process-load.ts'
import type { Env } from './env.ts'

/** How much this process bears, by what the environment says and what it has. */
export function openShedding(env: Env['http'], clock: Clock, log: Log): Shedding {
  const read = processLoadReader({ nodeOptions: env.nodeOptions, residentLimit: env.memoryBytes })
  return createShedding({ limits: env.shedding, read, collect: collectGarbage, clock, log })
}
