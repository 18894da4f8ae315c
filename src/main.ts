import { availableParallelism } from 'node:os'
import { setFlagsFromString } from 'node:v8'
import type { App, CreateAppOptions } from './app.ts'
import { rotationFault } from './env/rotation.ts'
import { type Env, readEnv, readSecretsEnv } from './env.ts'
import { ParleyError } from './errors.ts'
import { greetingOf } from './greeting.ts'
import { createLog, type Log } from './log.ts'
import { idleClock, systemClock, waitAtMost } from './platform/clock.ts'
import { createTokenSource } from './platform/credential.ts'
import { openSecrets } from './platform/secrets/open.ts'
import { hearStopSignals } from './stop-signals.ts'

/** What is left to write, to close and to let go of once all has stopped. */
const LINGER_MS = 5000

// V8 takes what a burst of requests makes for long-lived, puts it where only major collections look, and there it keeps what comes
// after it: minor collections took four times as long.
setFlagsFromString('--no-allocation-site-pretenuring')
// On one core, threads that collect together only wait for each other: with them, a short turn took a tenth more.
if (availableParallelism() === 1) setFlagsFromString('--no-parallel-scavenge')

let log: Log | undefined

async function main(): Promise<void> {
  const stops = hearStopSignals({ from: process, clock: idleClock, end: endNow })
  const { signal } = stops
  const options = { tokens: createTokenSource(), clock: systemClock, unfit: rotationFault, signal }
  const secrets = await openSecrets({ ...options, ...readSecretsEnv() })
  const env = readEnv(secrets.variables)
  log = createLog(env.logLevel)
  const { app, address } = await serve(env, log, { signal, secrets })
  stops.allow(env.limits.drainMs + env.limits.closeMs)
  process.stdout.write(greetingOf(env, app.uses, address))
  void stops.told.then((signal) => stop(app, signal))
  await app.prepare().catch((error) => {
    // Whoever needs it first hears of it, too.
    log?.warn({ err: error }, 'What is loaded ahead of time could not be loaded')
  })
}

/** Rejects when told to stop before it serves. */
async function serve(env: Env, log: Log, options: CreateAppOptions): Promise<{ app: App; address: string }> {
  // Loading it takes most of a start, which a process that is wrongly set up or told to stop should not pay.
  const { createApp } = await import('./app.ts')
  options.signal?.throwIfAborted()
  const app = await createApp(env, log, options)
  try {
    options.signal?.throwIfAborted()
    return { app, address: await app.listen() }
  } catch (error) {
    // What goes wrong here is logged, and is not why.
    await app.stop().catch(() => {})
    throw error
  }
}

async function stop(app: App, signal: NodeJS.Signals): Promise<void> {
  log?.info({ signal, turns: app.live() }, 'The process was told to stop')
  await app.stop().catch((error) => {
    log?.error({ err: error }, 'The process could not stop cleanly')
    process.exitCode = 1
  })
  endSoon()
}

/** What a library has left open, a connection to somebody who says nothing, keeps the process for ever. */
function endSoon(): void {
  waitAtMost(idleClock, LINGER_MS, () => {
    log?.warn({ held: process.getActiveResourcesInfo() }, 'The process is ended with something left open')
    process.exit()
  })
}

/** The last resort: whoever started the process waits for its end. */
function endNow(reason: string): void {
  const held = process.getActiveResourcesInfo()
  if (log) log.error({ reason, held }, 'The process is ended before it has stopped')
  else process.stderr.write(`Parley is ended before it has started: ${reason}\n`)
  process.exit(1)
}

try {
  await main()
} catch (error) {
  const known =
    error instanceof ParleyError || (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE')
  process.stderr.write(`Parley cannot start: ${known ? error.message : error instanceof Error ? error.stack : error}\n`)
  process.exitCode = 1
  endSoon()
}
