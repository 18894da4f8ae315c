import { createApp } from './app.ts'
import { rotationFault } from './env/rotation.ts'
import { readEnv, readSecretsEnv } from './env.ts'
import { ParleyError } from './errors.ts'
import { greetingOf } from './greeting.ts'
import { createLog } from './log.ts'
import { systemClock } from './platform/clock.ts'
import { createTokenSource } from './platform/credential.ts'
import { openSecrets } from './platform/secrets/open.ts'

async function main(): Promise<void> {
  const starting = new AbortController()
  const giveUp = () => starting.abort(new ParleyError('shutting_down'))
  process.once('SIGTERM', giveUp)
  process.once('SIGINT', giveUp)
  const { signal } = starting
  const options = { tokens: createTokenSource(), clock: systemClock, unfit: rotationFault, signal }
  const secrets = await openSecrets({ ...options, ...readSecretsEnv() })
  const env = readEnv(secrets.variables)
  const log = createLog(env.logLevel)
  const app = await createApp(env, log, { signal, secrets })
  const address = await app.listen().catch(async (error) => {
    await app.stop()
    throw error
  })

  process.stdout.write(greetingOf(env, app.uses, address))

  const stop = (signal: string) => {
    log.info({ signal, turns: app.live() }, 'The process was told to stop')
    app.stop().catch((error) => {
      log.error({ err: error }, 'The process could not stop cleanly')
      process.exitCode = 1
    })
  }
  process.removeListener('SIGTERM', giveUp)
  process.removeListener('SIGINT', giveUp)
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)
  if (starting.signal.aborted) stop('SIGTERM')
  await app.prepare()
}

try {
  await main()
} catch (error) {
  const known =
    error instanceof ParleyError || (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE')
  process.stderr.write(`Parley cannot start: ${known ? error.message : error instanceof Error ? error.stack : error}\n`)
  process.exitCode = 1
}
