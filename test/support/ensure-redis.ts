import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { installPackage, type Machine, onPath, thisMachine } from './debian-machine.ts'

export type RedisSource =
  | { kind: 'url'; url: string }
  | { kind: 'binary'; path: string }
  | { kind: 'docker'; image: string }

const image = 'redis:7'
/** Sharded publish and subscribe came with 7. */
const oldestMajor = 7
const run = promisify(execFile)

/**
 * Where the suites get a real Redis from: the URL in the environment, the server on PATH, Debian's package (as root),
 * or Docker. Starts nothing; `redis.ts` does.
 */
export async function ensureRedis(machine: Machine = thisMachine()): Promise<RedisSource> {
  const { env } = machine
  if (env.REDIS_URL) return { kind: 'url', url: env.REDIS_URL }
  const present = await recentServer(machine)
  if (present) return present
  await installPackage(machine, 'redis-server', 'Installing redis-server for the tests; its service stays off.')
  const installed = await recentServer(machine)
  if (installed) return installed
  const docker = await onPath(machine, 'docker')
  if (docker && (await succeeds(docker, ['info'], env))) return { kind: 'docker', image }
  throw new Error(
    `The tests need Redis ${oldestMajor} or newer: install redis-server, start Docker, or set REDIS_URL to that of an empty one.`,
  )
}

async function recentServer(machine: Machine): Promise<RedisSource | undefined> {
  const path = await onPath(machine, 'redis-server')
  if (!path) return undefined
  const { stdout } = await run(path, ['--version'], { env: machine.env })
  const major = Number(/v=(\d+)/.exec(stdout)?.[1])
  return major >= oldestMajor ? { kind: 'binary', path } : undefined
}

async function succeeds(command: string, args: string[], env: Machine['env']): Promise<boolean> {
  return run(command, args, { env, timeout: 15_000 }).then(
    () => true,
    () => false,
  )
}
