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

const MEBIBYTE = 1024 * 1024

export interface ProcessLoadOptions {
  /** As the environment has it: what V8 was told there, it does not say itself. */
  nodeOptions: string
  /** Instead of what the container (cgroup) or else the machine has. */
  residentLimit: number | undefined
}

export function processLoadReader({
  nodeOptions,
  residentLimit = foundLimit(),
}: ProcessLoadOptions): () => ProcessLoad {
  const flags = [nodeOptions, ...process.execArgv].join(' ')
  const heapLimit = oldSpaceLimit(getHeapStatistics().heap_size_limit, flags)
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
 * What V8 has for the old, of its limit for all. It has three semi-spaces for the young besides: of a size it was told or, but for
 * 32 MiB at most, of a 32nd of all, rounded up to a power of two. What it was told for the old alone comes without the young.
 */
export function oldSpaceLimit(heapSizeLimit: number, flags: string): number {
  const told = (flag: string) => {
    const [, mebibytes] = [...flags.replaceAll('_', '-').matchAll(new RegExp(`--${flag}[= ](\\d+)`, 'g'))].at(-1) ?? []
    return Number(mebibytes ?? 0) * MEBIBYTE
  }
  const old = told('max-old-space-size')
  if (old > 0) return Math.min(old, heapSizeLimit)
  const semiSpace = told('max-semi-space-size') || Math.min(32 * MEBIBYTE, heapSizeLimit / 32)
  return Math.max(heapSizeLimit - 3 * 2 ** Math.ceil(Math.log2(semiSpace)), heapSizeLimit / 2)
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
