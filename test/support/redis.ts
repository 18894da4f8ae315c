import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { Redis } from 'ioredis'
import { ensureRedis, type RedisSource } from './ensure-redis.ts'
import { freePort } from './free-port.ts'

/** A server for tests. What they keep in it is in partitions of random names. */
export interface RedisServer extends AsyncDisposable {
  readonly url: string
  /** Started by us, so that it can be killed, paused and configured; otherwise that of the environment. */
  readonly own: boolean
  /** SIGTERM, and gone; it can be started again. */
  stop(): Promise<void>
  /** SIGKILL, and gone. */
  kill(): Promise<void>
  /** Keeps its connections and says nothing. */
  pause(): Promise<void>
  resume(): Promise<void>
  /** Again after `stop` or `kill`, on the same port. */
  start(): Promise<void>
}

export interface RedisCluster extends AsyncDisposable {
  /** Of any of its nodes. */
  readonly url: string
  readonly nodes: readonly RedisServer[]
}

/** Why a test that needs servers of its own does not run; to be handed to `skip`. */
export async function noOwnRedis(): Promise<string | false> {
  const source = await ensureRedis()
  return source.kind === 'url' && 'REDIS_URL names a server that is not ours to kill, pause or configure'
}

export async function startRedis(options: { args?: readonly string[] } = {}): Promise<RedisServer> {
  const source = await ensureRedis()
  return source.kind === 'url' ? servedAt(source.url) : startOwn(source, options.args ?? [])
}

/** Three masters that share the slots, and do not take each other for dead within a minute (`cluster-node-timeout`). */
export async function startRedisCluster(): Promise<RedisCluster> {
  const source = await ensureRedis()
  if (source.kind === 'url') throw new Error('A cluster is started only with servers of our own.')
  await using opened = new AsyncDisposableStack()
  const nodes = await Promise.all(
    [0, 1, 2].map(async () => {
      const busPort = await freePort()
      const args = ['--cluster-enabled', 'yes', '--cluster-port', String(busPort), '--cluster-node-timeout', '2000']
      return { server: opened.use(await startOwn(source, args)), busPort }
    }),
  )
  const [first] = nodes
  if (!first) throw new Error('a cluster without nodes')
  await Promise.all(
    nodes.map(({ server }, at) => command(server.url, 'CLUSTER', 'ADDSLOTSRANGE', slot(at), slot(at + 1) - 1)),
  )
  const meet = async () => {
    for (const { server, busPort } of nodes) {
      await command(first.server.url, 'CLUSTER', 'MEET', '127.0.0.1', new URL(server.url).port, busPort)
    }
  }
  await meet()
  await Promise.all(nodes.map(({ server }) => clusterReady(server.url, meet)))
  // A machine that stands still for seconds is no reason to take nodes for dead.
  for (const { server } of nodes) await command(server.url, 'CONFIG', 'SET', 'cluster-node-timeout', 60_000)
  const closing = opened.move()
  return {
    url: first.server.url,
    nodes: nodes.map(({ server }) => server),
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  }
}

/** One command over a connection of its own. */
export async function command(url: string, name: string, ...args: (string | number)[]): Promise<unknown> {
  const redis = new Redis(url, { lazyConnect: true, retryStrategy: null })
  try {
    await redis.connect()
    return await redis.call(name, ...args)
  } finally {
    redis.disconnect()
  }
}

function servedAt(url: string): RedisServer {
  const notOurs = async () => {
    throw new Error('This server is not ours.')
  }
  return {
    ...{ url, own: false, stop: notOurs, kill: notOurs, pause: notOurs, resume: notOurs, start: notOurs },
    [Symbol.asyncDispose]: async () => {},
  }
}

async function startOwn(source: Exclude<RedisSource, { kind: 'url' }>, args: readonly string[]): Promise<RedisServer> {
  const folder = await mkdtemp(join(tmpdir(), 'redis-'))
  const port = await freePort()
  const settings = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', ...args]
  const launch = async () =>
    source.kind === 'binary'
      ? launchBinary(source.path, [...settings, '--dir', folder])
      : launchContainer(source.image, settings)
  let running = await launch()
  const end = async (signal: NodeJS.Signals) => {
    await running.signal(signal)
    await running.gone
  }
  return {
    url: `redis://127.0.0.1:${port}`,
    own: true,
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
    pause: () => running.signal('SIGSTOP'),
    resume: () => running.signal('SIGCONT'),
    start: async () => {
      running = await launch()
    },
    [Symbol.asyncDispose]: async () => {
      await end('SIGKILL')
      await rm(folder, { recursive: true, force: true })
    },
  }
}

interface Running {
  signal(signal: NodeJS.Signals): Promise<void>
  gone: Promise<unknown>
}

async function launchBinary(path: string, args: readonly string[]): Promise<Running> {
  const child = spawn(path, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const endWithUs = () => child.kill('SIGKILL')
  process.once('exit', endWithUs)
  const gone = once(child, 'exit').then(() => process.removeListener('exit', endWithUs))
  await accepting(child)
  return {
    gone,
    signal: async (signal) => {
      child.kill(signal)
    },
  }
}

async function launchContainer(image: string, args: readonly string[]): Promise<Running> {
  const name = `parley-redis-${randomUUID()}`
  const child = spawn('docker', ['run', '--rm', '--network', 'host', '--name', name, image, 'redis-server', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const gone = once(child, 'exit')
  await accepting(child)
  return {
    gone,
    signal: async (signal) => {
      if (child.exitCode === null) await promisify(execFile)('docker', ['kill', '--signal', signal, name])
    },
  }
}

/** Waits for the line that says so, and goes on reading, so that the pipe never fills. */
function accepting(child: ChildProcess): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  if (!child.stdout) throw new Error('the server has no output')
  createInterface(child.stdout).on('line', (line) => {
    if (line.includes('Ready to accept connections')) resolve()
  })
  child.once('exit', (code) => reject(new Error(`redis-server ended with code ${code}`)))
  return promise
}

function slot(third: number): number {
  return Math.floor((16384 * third) / 3)
}

/** Nodes that were slow to shake hands have forgotten each other, and are made to meet again. */
async function clusterReady(url: string, meet: () => Promise<void>): Promise<void> {
  const until = Date.now() + 60_000
  for (;;) {
    const info = String(await command(url, 'CLUSTER', 'INFO'))
    const nodes = String(await command(url, 'CLUSTER', 'NODES'))
      .trim()
      .split('\n')
    if (info.includes('cluster_state:ok') && nodes.length === 3) return
    if (Date.now() > until) throw new Error('the cluster does not get ready')
    if (nodes.length < 3) await meet()
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
