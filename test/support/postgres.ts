import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { chown, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { Client } from 'pg'
import { rolesMigration } from '../../src/platform/sql/roles-migration.ts'
import { ensurePostgres } from './ensure-postgres.ts'
import { freePort } from './free-port.ts'

/** A server for tests, each of which makes itself a database. */
export interface PostgresServer extends AsyncDisposable {
  /** Of its administrator. */
  readonly url: string
  /** Started by us, so that it can be killed and paused; otherwise that of the environment. */
  readonly own: boolean
  /** An empty database, of a login role without privileges but that to create roles; resolves with its URL. Gone with the server. */
  createDatabase(): Promise<string>
  /** Ends all sessions, and is gone; it can be started again. */
  stop(): Promise<void>
  /** SIGKILL for all its processes, and gone. */
  kill(): Promise<void>
  /** Keeps its connections and says nothing. */
  pause(): Promise<void>
  resume(): Promise<void>
  /** Again after `stop` or `kill`, on the same port. */
  start(): Promise<void>
}

const run = promisify(execFile)
const serverOfRun = 'PARLEY_TEST_SERVER_OF_RUN'

/** Why a test that needs a server of its own does not run; to be handed to `skip`. */
export async function noOwnPostgres(): Promise<string | false> {
  const source = await ensurePostgres()
  return source.kind === 'url' && 'PARLEY_TEST_DATABASE_URL names a server that is not ours to kill or pause'
}

export interface PostgresSettings {
  /** `name=value` of `postgresql.conf`. */
  settings?: readonly string[]
  /** What lies in the folder of the server, by name. */
  files?: Readonly<Record<string, string>>
}

export async function startPostgres(options: PostgresSettings = {}): Promise<PostgresServer> {
  const source = await ensurePostgres()
  return source.kind === 'url' ? servedAt(source.url) : startOwn(source.folder, options)
}

/** For tests that leave the server as it is: that of the whole run where there is one, since starting one takes a second. */
export async function sharedPostgres(): Promise<PostgresServer> {
  const url = process.env[serverOfRun]
  return url === undefined ? startPostgres() : onServerOfRun(url)
}

/** From now on `sharedPostgres` gives this one, in the processes that are started from here as well. */
export async function sharePostgres(): Promise<AsyncDisposable | undefined> {
  if (process.env[serverOfRun] !== undefined) return undefined
  const server = await startPostgres()
  if (server.own) {
    // Databases that are migrated at once find the roles made.
    await execute(await server.createDatabase(), rolesMigration.sql)
    process.env[serverOfRun] = server.url
  }
  return server
}

/** Statements without parameters, over a connection of their own; the rows of the last. */
export async function execute(url: string, ...statements: readonly string[]): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    let rows: Record<string, unknown>[] = []
    for (const statement of statements) ({ rows } = await client.query(statement))
    return rows
  } finally {
    await client.end()
  }
}

function servedAt(url: string): PostgresServer {
  const made: string[] = []
  return {
    ...{ url, ...notOurs },
    createDatabase: async () => {
      const name = newName()
      const password = randomUUID()
      await execute(
        url,
        ...['parley_tenant', 'parley_system'].map(
          (role) =>
            `DO $$ BEGIN CREATE ROLE ${role}; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$`,
        ),
        `CREATE ROLE ${name} LOGIN PASSWORD '${password}' IN ROLE parley_tenant, parley_system`,
        `GRANT ${name} TO CURRENT_USER`,
        `CREATE DATABASE ${name} OWNER ${name}`,
      )
      made.push(name)
      return at(url, name, name, password)
    },
    [Symbol.asyncDispose]: async () => {
      for (const name of made) await execute(url, `DROP DATABASE ${name} WITH (FORCE)`, `DROP ROLE ${name}`)
    },
  }
}

/** As `startOwn` makes them, and gone when the test is. */
function onServerOfRun(url: string): PostgresServer {
  const made: string[] = []
  return {
    ...{ url, ...notOurs },
    createDatabase: async () => {
      const name = newName()
      await execute(url, `CREATE DATABASE ${name} OWNER parley_login`)
      made.push(name)
      return at(url, name, 'parley_login', '')
    },
    [Symbol.asyncDispose]: async () => {
      for (const name of made) await execute(url, `DROP DATABASE ${name} WITH (FORCE)`)
    },
  }
}

const refuse = async () => {
  throw new Error('This server is not ours.')
}
const notOurs = { own: false, stop: refuse, kill: refuse, pause: refuse, resume: refuse, start: refuse }

async function startOwn(folder: string, { settings = [], files = {} }: PostgresSettings): Promise<PostgresServer> {
  const data = await mkdtemp(join(tmpdir(), 'postgres-'))
  const user = await runsAs()
  if (user) await chown(data, user.uid, user.gid)
  const options = { ...user, cwd: data, env: { ...process.env, LC_ALL: 'C' } }
  const layout = ['--auth', 'trust', '--username', 'postgres', '--encoding', 'UTF8', '--locale', 'C', '--no-sync']
  await run(join(folder, 'initdb'), ['--pgdata', data, ...layout], options)
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(data, name), content, { mode: 0o600 })
    if (user) await chown(join(data, name), user.uid, user.gid)
  }
  const port = await freePort()
  const given = [...baseSettings, ...settings].flatMap((setting) => ['-c', setting])
  const launch = () => launchServer(join(folder, 'postgres'), ['-D', data, '-p', String(port), ...given], options)
  let running = await launch()
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`
  await execute(url, 'CREATE ROLE parley_login LOGIN CREATEROLE')
  return {
    url,
    own: true,
    createDatabase: async () => {
      const name = newName()
      await execute(url, `CREATE DATABASE ${name} OWNER parley_login`)
      return at(url, name, 'parley_login', '')
    },
    stop: () => running.stop(),
    kill: () => running.kill(),
    pause: async () => running.signalAll('SIGSTOP'),
    resume: async () => running.signalAll('SIGCONT'),
    start: async () => {
      running = await launch()
    },
    [Symbol.asyncDispose]: async () => {
      await running.kill()
      await rm(data, { recursive: true, force: true })
    },
  }
}

/** Quick: what is committed has to outlive the server, but not the machine. And no way in but the port. */
const baseSettings = [
  'listen_addresses=127.0.0.1',
  'unix_socket_directories=',
  'fsync=off',
  'full_page_writes=off',
  'max_connections=200',
]

interface Running {
  signalAll(signal: NodeJS.Signals): void
  stop(): Promise<void>
  kill(): Promise<void>
}

async function launchServer(path: string, args: readonly string[], options: object): Promise<Running> {
  const child = spawn(path, args, { ...options, stdio: ['ignore', 'ignore', 'pipe'] })
  const { pid } = child
  if (pid === undefined) throw new Error('postgres did not start')
  const signalAll = (signal: NodeJS.Signals) => {
    // Each session is a process of its own, in a group of its own.
    for (const each of [pid, ...childrenOf(pid)]) signalTo(each, signal)
  }
  const endWithUs = () => signalAll('SIGKILL')
  process.once('exit', endWithUs)
  const gone = once(child, 'exit').then(() => process.removeListener('exit', endWithUs))
  await accepting(child)
  return {
    signalAll,
    stop: async () => {
      child.kill('SIGINT')
      await gone
    },
    kill: async () => {
      const sessions = child.exitCode === null ? childrenOf(pid) : []
      if (child.exitCode === null && child.signalCode === null) signalAll('SIGKILL')
      await gone
      while (sessions.some(isAlive)) await new Promise((resolve) => setTimeout(resolve, 5))
    },
  }
}

/** Waits for the line that says so, and goes on reading, so that the pipe never fills. */
function accepting(child: ChildProcess): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const said: string[] = []
  if (!child.stderr) throw new Error('the server has no output')
  createInterface(child.stderr).on('line', (line) => {
    said.push(line)
    if (said.length > 100) said.shift()
    if (line.includes('database system is ready to accept connections')) resolve()
  })
  child.once('error', reject)
  child.once('exit', (code) => reject(new Error(`postgres ended with code ${code}: ${said.join(' ')}`)))
  return promise
}

/** PostgreSQL refuses to run as root. */
async function runsAs(): Promise<{ uid: number; gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const users = await readFile('/etc/passwd', 'utf8')
  const found = /^postgres:[^:]*:(\d+):(\d+):/m.exec(users) ?? /^nobody:[^:]*:(\d+):(\d+):/m.exec(users)
  if (!found) throw new Error('There is no user that PostgreSQL could run as.')
  return { uid: Number(found[1]), gid: Number(found[2]) }
}

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
}

function signalTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended meanwhile.
  }
}

function isAlive(pid: number): boolean {
  try {
    // What has ended and waits to be reaped has no memory any more.
    return readFileSync(`/proc/${pid}/statm`, 'utf8').startsWith('0 ') === false
  } catch {
    return false
  }
}

function newName(): string {
  return `parley_${randomUUID().replaceAll('-', '')}`
}

function at(url: string, database: string, username: string, password: string): string {
  return Object.assign(new URL(url), { pathname: `/${database}`, username, password }).href
}
