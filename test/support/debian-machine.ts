import { execFile } from 'node:child_process'
import { access, constants, rm, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

/** Where tests run, as far as finding and installing programs goes. */
export interface Machine {
  env: {
    PATH?: string | undefined
    REDIS_URL?: string | undefined
    CHROMIUM_PATH?: string | undefined
    PARLEY_TEST_DATABASE_URL?: string | undefined
  }
  isRoot: boolean
  /** What Debian asks whether an installed service may start. */
  policyFile: string
  say(line: string): void
}

const run = promisify(execFile)

export function thisMachine(): Machine {
  return {
    env: process.env,
    isRoot: process.getuid?.() === 0,
    policyFile: '/usr/sbin/policy-rc.d',
    say: (line) => process.stderr.write(`${line}\n`),
  }
}

export async function onPath({ env }: Pick<Machine, 'env'>, name: string): Promise<string | undefined> {
  for (const folder of (env.PATH ?? '').split(delimiter)) {
    const path = join(folder, name)
    if (folder && (await isExecutable(path))) return path
  }
  return undefined
}

export function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}

/**
 * Installs a package where that can be done: as root, with Debian's tool. A policy keeps services from starting meanwhile.
 * Whether it worked shows in what is there afterwards.
 */
export async function installPackage(machine: Machine, name: string, announcement: string): Promise<void> {
  const { env, isRoot, policyFile, say } = machine
  const apt = isRoot ? await onPath(machine, 'apt-get') : undefined
  if (!apt) return
  const options = { env: { ...env, DEBIAN_FRONTEND: 'noninteractive' }, timeout: 300_000 }
  const wait = ['-o', 'DPkg::Lock::Timeout=120']
  const addedPolicy = await writeFile(policyFile, '#!/bin/sh\nexit 101\n', { mode: 0o755, flag: 'wx' }).then(
    () => true,
    () => false,
  )
  say(announcement)
  try {
    await run(apt, [...wait, 'update'], options)
    await run(apt, [...wait, 'install', '-y', '--no-install-recommends', name], options)
  } catch {
    // No network or no such package.
  } finally {
    if (addedPolicy) await rm(policyFile)
  }
}
