import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { FromLoad, Job, LoadReport, ToLoad } from './jobs.ts'

export interface Server extends AsyncDisposable {
  url: string
  pid: number
  process: ChildProcess
}

export interface StartOptions {
  /** None: wherever the parent runs. */
  core?: number | undefined
  env?: Record<string, string>
}

const STOP_MS = 5000
const READY_MS = 20_000

/** Starts a Node process that prints its address, and waits for that. SIGTERM ends it, SIGKILL when that does not. */
export async function startServer(nodeArgs: readonly string[], options: StartOptions = {}): Promise<Server> {
  const child = startNode(nodeArgs, options)
  const stop = () => stopped(child)
  try {
    const url = await addressOf(child)
    return { url, pid: child.pid ?? 0, process: child, [Symbol.asyncDispose]: stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** A load generator in a process of its own. */
export class Load implements AsyncDisposable {
  readonly process: ChildProcess

  constructor(core?: number) {
    this.process = startNode([import.meta.resolve('./load.ts')], { core })
  }

  async prepare(job: Job): Promise<void> {
    this.#send({ do: 'prepare', job })
    await this.#next('prepared')
  }

  /** Runs what was prepared; resolves when its last stream has ended. */
  async start(): Promise<void> {
    this.#send({ do: 'start' })
    await this.#next('ended')
  }

  /** Of a job with `holdMs`, after `start` was called: resolves once all streams have begun. */
  async holding(): Promise<void> {
    await this.#next('holding')
  }

  /** And when they are about to be left. */
  async leaving(): Promise<void> {
    await this.#next('leaving')
  }

  /** What came of it, each stream compared with what was sent. */
  async check(): Promise<LoadReport> {
    this.#send({ do: 'check' })
    return (await this.#next('checked')).report
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await stopped(this.process)
  }

  #send(message: ToLoad): void {
    this.process.send(message)
  }

  async #next<Is extends FromLoad['is']>(is: Is): Promise<Extract<FromLoad, { is: Is }>> {
    for (;;) {
      const [message]: FromLoad[] = await once(this.process, 'message')
      if (message?.is === 'failed') throw new Error(`The load failed: ${message.why}`)
      if (message?.is === is) return message as Extract<FromLoad, { is: Is }>
    }
  }
}

function startNode(nodeArgs: readonly string[], { core, env = {} }: StartOptions): ChildProcess {
  const command = [process.execPath, ...nodeArgs.map((arg) => (arg.startsWith('file:') ? new URL(arg).pathname : arg))]
  const [file = '', ...args] = core === undefined ? command : ['taskset', '-c', String(core), ...command]
  const child = spawn(file, args, {
    env: { PATH: process.env.PATH ?? '', ...env },
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    // JSON has no NaN.
    serialization: 'advanced',
  })
  const endWithUs = () => child.kill('SIGKILL')
  process.once('exit', endWithUs)
  child.once('exit', () => process.removeListener('exit', endWithUs))
  return child
}

/** Reads the first address that the process prints; goes on reading, so that its pipe never fills. */
function addressOf(child: ChildProcess): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  if (!child.stdout) throw new Error('a process without output')
  const timer = setTimeout(() => reject(new Error(`${child.spawnargs.at(-1)} is not ready in time`)), READY_MS)
  createInterface(child.stdout).on('line', (line) => {
    const address = /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0]
    if (address) resolve(address)
  })
  child.once('exit', (code) => reject(new Error(`${child.spawnargs.at(-1)} ended with code ${code}`)))
  return promise.finally(() => clearTimeout(timer))
}

async function stopped(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
  await exited
  clearTimeout(timer)
}
