import { type Server, startServer } from './children.ts'
import type { Dialect } from './jobs.ts'
import { startParley } from './parley.ts'
import type { SharedState } from './shared-state.ts'

export interface Target extends AsyncDisposable {
  name: TargetName
  dialect: Dialect
  server: Server
  /** Of the Redis that it uses, where its CPU time can be read. */
  redisPid: number | undefined
}

/** Ratios are taken to the first. */
export const TARGETS = ['bare', 'fastify-sdk', 'parley /v1', 'parley native SQLite', 'parley native Redis'] as const
export type TargetName = (typeof TARGETS)[number]

export interface Surroundings {
  upstreamUrl: string
  shared: SharedState
  core: number | undefined
  /** Where CPU profiles go, if anywhere. */
  profiles: string | undefined
}

export async function startTarget(
  name: TargetName,
  { upstreamUrl, shared, core, profiles }: Surroundings,
): Promise<Target> {
  const usesRedis = name === 'parley native Redis'
  const nodeArgs =
    profiles === undefined
      ? []
      : ['--cpu-prof', `--cpu-prof-dir=${profiles}`, `--cpu-prof-name=${name.replaceAll(/[ /]+/g, '-')}.cpuprofile`]
  const server =
    name === 'bare' || name === 'fastify-sdk'
      ? await startServer([...nodeArgs, import.meta.resolve(`./baselines/${name}.ts`), upstreamUrl], { core })
      : await startParley({ upstreamUrl, core, nodeArgs, ...(usesRedis && { shared }) })
  return {
    name,
    dialect: name.startsWith('parley native') ? 'turns' : 'completions',
    server,
    redisPid: usesRedis ? shared.redis.pid : undefined,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}
