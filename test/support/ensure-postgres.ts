import { execFile } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { installPackage, isExecutable, type Machine, onPath, thisMachine } from './debian-machine.ts'

export type PostgresSource =
  | { kind: 'url'; url: string }
  /** The folder that has `initdb` and `postgres`. */
  | { kind: 'binaries'; folder: string }

const debianFolder = '/usr/lib/postgresql'
/** SQL-standard function bodies came with 14. */
const oldestMajor = 14

/**
 * Where the suites get a real PostgreSQL from: the URL in the environment, the programs on PATH or where Debian keeps them, or
 * Debian's package (as root). Starts nothing; `postgres.ts` does.
 */
export async function ensurePostgres(
  machine: Machine = thisMachine(),
  versionsFolder: string = debianFolder,
): Promise<PostgresSource> {
  const url = machine.env.PARLEY_TEST_DATABASE_URL
  if (url) return { kind: 'url', url }
  const present = await binaries(machine, versionsFolder)
  if (present) return present
  // Only this package makes a cluster and starts a service, which the policy keeps it from.
  await installPackage(machine, 'postgresql', 'Installing postgresql for the tests; its service stays off.')
  const installed = await binaries(machine, versionsFolder)
  if (installed) return installed
  throw new Error(
    `The tests need PostgreSQL ${oldestMajor} or newer: install postgresql, or set PARLEY_TEST_DATABASE_URL to that of an administrator.`,
  )
}

async function binaries(machine: Machine, versionsFolder: string): Promise<PostgresSource | undefined> {
  const folders: string[] = []
  const path = await onPath(machine, 'postgres')
  if (path) folders.push(dirname(path))
  // Debian keeps each major in a folder of its own, off the path.
  const majors = (await readdir(versionsFolder).catch(() => [])).map(Number).sort((a, b) => b - a)
  folders.push(...majors.map((major) => join(versionsFolder, String(major), 'bin')))
  for (const folder of folders) {
    if ((await isRecent(machine, join(folder, 'postgres'))) && (await isExecutable(join(folder, 'initdb')))) {
      return { kind: 'binaries', folder }
    }
  }
  return undefined
}

async function isRecent({ env }: Machine, path: string): Promise<boolean> {
  if (!(await isExecutable(path))) return false
  const { stdout } = await promisify(execFile)(path, ['--version'], { env })
  return Number(/\(PostgreSQL\) (\d+)/.exec(stdout)?.[1]) >= oldestMajor
}
