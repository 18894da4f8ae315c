import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { setTimeout as pass } from 'node:timers/promises'
import { nodeVariables } from './node-variables.ts'

/** A Parley of its own process, as it is run in earnest: can be killed. */
export interface Replica extends AsyncDisposable {
  url: string
  process: ChildProcess
  /** The lines of its stdout so far. */
  printed: readonly string[]
  /** SIGKILL, and gone. */
  kill(): Promise<void>
  /** SIGTERM; the exit code. Rejects, and kills it, when it has not ended long after it had to by itself. */
  terminate(): Promise<number | null>
}

const READY_MS = 90_000
/** Beyond what a replica gives itself: PARLEY_DRAIN_MS and PARLEY_CLOSE_MS. */
const ENDED_MS = 70_000
const PRINTED_MS = 5000

/** Runs `src/main.ts` with these variables until it ends: for what must not start. */
export async function runToExit(
  variables: Record<string, string>,
  onSpawn: (child: ChildProcess) => void = () => {},
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, ['src/main.ts'], {
    env: { ...defaults(), ...variables },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: READY_MS,
    killSignal: 'SIGKILL',
  })
  onSpawn(child)
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
  return { code: child.exitCode, stdout, stderr }
}

/**
 * Starts `src/main.ts` on a free port with these variables and nothing else of the environment that Parley reads; unless they
 * name one, with a data folder of its own.
 */
export async function startReplica(
  variables: Record<string, string>,
  [command, ...args]: readonly [string, ...string[]] = [process.execPath, 'src/main.ts'],
): Promise<Replica> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-replica-'))
  const child = spawn(command, args, {
    env: { ...defaults(), PARLEY_DATA_DIR: folder, ...variables },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()).once('error', () => resolve()))
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal)
    await exited
    await rm(folder, { recursive: true, force: true })
  }
  try {
    const printed: string[] = []
    const url = await readyAt(child, printed)
    return {
      url,
      process: child,
      printed,
      kill: () => end('SIGKILL'),
      terminate: async () => {
        const late = setTimeout(() => child.kill('SIGKILL'), ENDED_MS)
        await end('SIGTERM')
        clearTimeout(late)
        // What it printed last arrives after that; a child of its own may hold the pipe.
        await Promise.race([closed, pass(PRINTED_MS, undefined, { ref: false })])
        if (child.signalCode === 'SIGKILL') {
          throw new Error(`the replica did not end; it printed last: ${printed.slice(-5).join('\n')}`)
        }
        return child.exitCode
      },
      [Symbol.asyncDispose]: () => end('SIGKILL'),
    }
  } catch (error) {
    await end('SIGKILL')
    throw error
  }
}

/** Reads the address from what the process prints once it serves; goes on reading, so that its pipe never fills. */
function readyAt(child: ChildProcess, printed: string[]): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  if (!child.stdout) throw new Error('the replica has no output')
  const timer = setTimeout(() => reject(new Error('the replica is not ready in time')), READY_MS)
  const lines = createInterface(child.stdout)
  lines.on('line', (line) => {
    printed.push(line)
    const address = /(?:OpenAI|health)\s+(http:\/\/[^/\s]+)\/(?:v1|health)/.exec(line)?.[1]
    if (address) resolve(address)
    else if (process.env.PARLEY_TEST_LOG) process.stderr.write(`${line}\n`)
  })
  child.once('error', reject)
  child.once('exit', (code, signal) => reject(new Error(`the replica ended with ${signal ?? `code ${code}`}`)))
  return promise.finally(() => clearTimeout(timer))
}

function defaults(): Record<string, string> {
  return {
    ...nodeVariables(),
    PORT: '0',
    PARLEY_LOG_LEVEL: 'warn',
    // That the machine is busy with other tests is no reason to refuse, nor to serve without what is there.
    PARLEY_SHED_DELAY_MS: '0',
    PARLEY_START_PATIENCE_MS: '60000',
    // Nor to be ended before it has stopped.
    PARLEY_CLOSE_MS: '30000',
  }
}
