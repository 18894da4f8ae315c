import { Load, startServer } from './children.ts'
import type { Job, LoadReport } from './jobs.ts'
import { cpuMs, residentKib } from './machine.ts'

/** One load on one process. */
export interface Measured {
  report: LoadReport
  streams: number
  /** CPU time of the process. */
  cpuMs: number
  /** CPU time of the Redis that it uses. */
  redisCpuMs: number
  /** How far its memory grew at the highest. */
  grownKib: number
  /** Share of a core that the harness took: near 1, rates are the harness's limit, and CPU time is what counts. */
  harnessBusy: number
}

/** The mock upstream and a load generator. */
export interface Harness extends AsyncDisposable {
  upstreamUrl: string
  measure(pid: number, job: Job, redisPid?: number): Promise<Measured>
}

const SAMPLE_MS = 50
const QUIET_MS_PER_SAMPLE = 1
const QUIET_TRIES = 40

export async function startHarness(): Promise<Harness> {
  await using opened = new AsyncDisposableStack()
  const upstream = opened.use(await startServer([import.meta.resolve('./upstream.ts')]))
  const load = opened.use(new Load())
  const closing = opened.move()
  return {
    upstreamUrl: upstream.url,
    async measure(pid, job, redisPid) {
      await load.prepare(job)
      await quiet(pid)
      const before = { own: cpuMs(pid), redis: redisPid ? cpuMs(redisPid) : 0, upstream: cpuMs(upstream.pid) }
      const residentBefore = residentKib(pid)
      let highest = residentBefore
      const sampling = setInterval(() => {
        highest = Math.max(highest, residentKib(pid))
      }, SAMPLE_MS)
      const ended = load.start()
      await (job.holdMs === undefined ? ended : load.leaving())
      clearInterval(sampling)
      await ended
      const upstreamCpuMs = cpuMs(upstream.pid) - before.upstream
      await quiet(pid)
      const spent = { cpuMs: cpuMs(pid) - before.own, redisCpuMs: redisPid ? cpuMs(redisPid) - before.redis : 0 }
      const report = await load.check()
      return {
        report,
        streams: job.streams,
        ...spent,
        grownKib: highest - residentBefore,
        harnessBusy: (upstreamCpuMs + report.ownCpuMs) / 1000 / report.seconds,
      }
    },
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  }
}

/** Waits until the process has nothing left to do of what came before: work put off is work of the load that caused it. */
async function quiet(pid: number): Promise<void> {
  for (let tries = 0; tries < QUIET_TRIES; tries++) {
    const before = cpuMs(pid)
    await new Promise((after) => setTimeout(after, SAMPLE_MS))
    if (cpuMs(pid) - before < QUIET_MS_PER_SAMPLE) return
  }
}
