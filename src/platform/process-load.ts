import { totalmem } from 'node:os'
import { getHeapSpaceStatistics, getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** How full the process is, in bytes. */
export interface ProcessLoad {
  /** Of JavaScript objects that have lived for a while, and the most that there may be before the process is ended. */
  heapUsed: number
  heapLimit: number
  /** Of all that the process holds, and the most that its container or machine has for it. */
  residentUsed: number
  residentLimit: number
}

/** V8 has three semi-spaces of 32 MiB for the young on top of what it was told for the old, and counts both into one limit. */
const YOUNG_BYTES = 96 * 1024 * 1024

/** `residentLimit`: instead of what the container (cgroup) or else the machine has. */
export function processLoadReader(residentLimit = foundLimit()): () => ProcessLoad {
  const heapLimit = getHeapStatistics().heap_size_limit - YOUNG_BYTES
  return () => ({
    heapUsed: getHeapSpaceStatistics()
      .filter(({ space_name: name }) => !name.startsWith('new_'))
      .reduce((sum, { space_used_size: used }) => sum + used, 0),
    heapLimit,
    residentUsed: process.memoryUsage.rss(),
    residentLimit,
  })
}

/**
 * Frees what nothing refers to any more. V8 does so by itself when it is asked for memory: a process that takes nothing new
 * would wait for that for ever.
 */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
}

function foundLimit(): number {
  const constrained = process.constrainedMemory()
  return constrained > 0 ? Math.min(constrained, totalmem()) : totalmem()
}
