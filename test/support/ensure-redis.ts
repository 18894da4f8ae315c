import { execFile } from 'node:child_process'
import { access, constants, rm, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

export type RedisSource =
  | { kind: 'url'; url: string }
  | { kind: 'binary'; path: string }
  | { kind: 'docker'; image: string }

interface Machine {
  env: { PATH?: string | undefined; REDIS_URL?: string | undefined }
  isRoot: boolean
  /** What Debian asks whether an installed service may start. */
  policyFile: string
  say(line: string): void
}

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
  const present = await recentServer(env)
  if (present) return present
  const apt = machine.isRoot ? await onPath(env, 'apt-get') : undefined
  if (apt) {
    await installServer(apt, machine)
    const installed = await recentServer(env)
    if (installed) return installed
  }
  const docker = await onPath(env, 'docker')
  if (docker && (await succeeds(docker, ['info'], env))) return { kind: 'docker', image }
  throw new Error(
    `The tests need Redis ${oldestMajor} or newer: install redis-server, start Docker, or set REDIS_URL to that of an empty one.`,
  )
}

function thisMachine(): Machine {
  return {
    env: process.env,
    isRoot: process.getuid?.() === 0,
    policyFile: '/usr/sbin/policy-rc.d',
    say: (line) => process.stderr.write(`${line}\n`),
  }
}

async function recentServer(env: Machine['env']): Promise<RedisSource | undefined> {
  const path = await onPath(env, 'redis-server')
  if (!path) return undefined
  const { stdout } = await run(path, ['--version'], { env })
  const major = Number(/v=(\d+)/.exec(stdout)?.[1])
  return major >= oldestMajor ? { kind: 'binary', path } : undefined
}

/** Installs the package while a policy keeps its service from starting: the suites start servers of their own. */
async function installServer(apt: string, { env, policyFile, say }: Machine): Promise<void> {
  const options = { env: { ...env, DEBIAN_FRONTEND: 'noninteractive' }, timeout: 180_000 }
  const wait = ['-o', 'DPkg::Lock::Timeout=120']
  const addedPolicy = await writeFile(policyFile, '#!/bin/sh\nexit 101\n', { mode: 0o755, flag: 'wx' }).then(
    () => true,
    () => false,
  )
  say('Installing redis-server for the tests; its service stays off.')
  try {
    await run(apt, [...wait, 'update'], options)
    await run(apt, [...wait, 'install', '-y', '--no-install-recommends', 'redis-server'], options)
  } catch {
    // No network or no such package: Docker may still have it.
  } finally {
    if (addedPolicy) await rm(policyFile)
  }
}

async function onPath(env: Machine['env'], name: string): Promise<string | undefined> {
  for (const folder of (env.PATH ?? '').split(delimiter)) {
    const path = join(folder, name)
    const executable = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (folder && executable) return path
  }
  return undefined
}

async function succeeds(command: string, args: string[], env: Machine['env']): Promise<boolean> {
  return run(command, args, { env, timeout: 15_000 }).then(
    () => true,
    () => false,
  )
}
