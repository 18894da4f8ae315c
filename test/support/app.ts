import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { ConfigDocument } from '#config/document.ts'
import { type App, createApp, type Overrides } from '../../src/app.ts'
import { type Env, readEnv } from '../../src/env.ts'
import { createLog, type Log } from '../../src/log.ts'
import { pgliteTemplate } from './pglite-template.ts'

export interface TestApp extends AsyncDisposable {
  app: App
  env: Env
  /** `http://127.0.0.1:port`. */
  url: string
  stop(): Promise<void>
}

export interface TestAppOptions {
  /** Environment variables beside those that keep the test to itself. */
  variables?: Record<string, string>
  /** The only config version; the shipped ones when absent. */
  config?: ConfigDocument
  overrides?: Overrides
  /** Instead of one by the level of the environment. */
  log?: Log
  /** A folder that outlives the app, for tests that start another on it. */
  dataDir?: string
}

/** A master key that replicas of one test share. */
export const TEST_MASTER_KEYS = `test:${randomBytes(32).toString('base64')}`

/** The whole app in this process, on a free port, with a data folder of its own. */
export async function startApp(options: TestAppOptions = {}): Promise<TestApp> {
  const folder = await mkdtemp(path.join(tmpdir(), 'parley-test-'))
  const configDir = options.config ? folder : path.resolve('config-versions')
  if (options.config) await writeFile(path.join(folder, 'v1.json'), JSON.stringify(options.config))
  const env = onTemplate(
    readEnv({
      PORT: '0',
      PARLEY_DATA_DIR: options.dataDir ?? path.join(folder, 'data'),
      PARLEY_CONFIG_DIR: configDir,
      PARLEY_LOG_LEVEL: process.env.PARLEY_TEST_LOG ?? 'silent',
      PARLEY_DRAIN_MS: '2000',
      // What the machine is busy with may hold up all that there is at the start, and at the end.
      PARLEY_START_PATIENCE_MS: '60000',
      PARLEY_CLOSE_MS: '60000',
      // That the machine is busy with other tests is no reason to refuse.
      PARLEY_SHED_DELAY_MS: '0',
      ...options.variables,
    }),
  )
  const app = await createApp(env, options.log ?? createLog(env.logLevel), options.overrides)
  const url = await app.listen()
  const stop = async () => {
    await app.stop()
    await rm(folder, { recursive: true, force: true })
  }
  return { app, env, url, stop, [Symbol.asyncDispose]: stop }
}

/** Tests of much else would wait for each database to be made. */
function onTemplate(env: Env): Env {
  return env.sql.engine === 'pglite' ? { ...env, sql: { ...env.sql, template: pgliteTemplate() } } : env
}
