import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'

/** One core for what is measured, another for what measures. */
export interface Cores {
  target: number
  harness: number
}

/** The first two cores that this process may use; undefined where there are fewer, or no `taskset`. */
export function findCores(): Cores | undefined {
  const allowed = /Cpus_allowed_list:\s*(\S+)/.exec(readOr('/proc/self/status', ''))?.[1] ?? ''
  const [target, harness] = allowed.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, at) => first + at)
  })
  if (target === undefined || harness === undefined || spawnSync('taskset', ['-V']).error) return undefined
  return { target, harness }
}

/** Puts a running process on a core, and with it what it starts from now on. */
export function pin(pid: number, core: number): void {
  spawnSync('taskset', ['-acp', String(core), String(pid)])
}

/** CPU time of all threads of a process. `schedstat` counts nanoseconds where `stat` counts ticks of 10 ms. */
export function cpuMs(pid: number): number {
  let nanoseconds = 0
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    nanoseconds += Number(readOr(`/proc/${pid}/task/${thread}/schedstat`, '0').split(' ')[0])
  }
  return nanoseconds / 1e6
}

/** Memory that a process has in RAM. */
export function residentKib(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readOr(`/proc/${pid}/status`, ''))?.[1] ?? Number.NaN)
}

/** How many files a process may have open at most. */
export function openFilesLimit(): number {
  return Number(/Max open files\s+\S+\s+(\d+)/.exec(readOr('/proc/self/limits', ''))?.[1] ?? Number.NaN)
}

export function describeMachine(): Record<string, string> {
  const processors = cpus()
  return {
    processor: `${processors.length} × ${processors[0]?.model.trim()}`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    system: process.platform,
    node: process.version,
  }
}

function readOr(file: string, otherwise: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return otherwise
  }
}
