import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { ConfigDocument } from '#config/document.ts'
import { type Server, type StartOptions, startServer } from './children.ts'
import type { SharedState } from './shared-state.ts'

export interface ParleyOptions extends StartOptions {
  upstreamUrl: string
  /** SQLite in a folder of its own when absent; those that share share their turns. */
  shared?: SharedState
  /** Options of Node, such as `--cpu-prof`. */
  nodeArgs?: readonly string[]
}

/** Those that share a Redis share it. */
const MASTER_KEYS = `bench:${randomBytes(32).toString('base64')}`

/** Whom to talk to: bare routes on `/v1`, specialists on the native surface. */
export const TO = {
  completions: { mock: 'mock-route', offline: 'offline-route' },
  turns: { mock: 'mock', offline: 'offline' },
} as const

/** Parley as it ships, all that it does switched on; only its config version is ours. */
export async function startParley({ upstreamUrl, shared, nodeArgs = [], core }: ParleyOptions): Promise<Server> {
  const folder = await mkdtemp(path.join(tmpdir(), 'parley-bench-'))
  await writeFile(path.join(folder, 'v1.json'), JSON.stringify(configOf(upstreamUrl)))
  const env = {
    PORT: '0',
    PARLEY_CONFIG_DIR: folder,
    PARLEY_DATA_DIR: path.join(folder, 'data'),
    PARLEY_EGRESS_HOSTS: new URL(upstreamUrl).host,
    ...(shared && {
      REDIS_URL: shared.redis.url,
      DATABASE_URL: shared.databaseUrl,
      PARLEY_MASTER_KEYS: MASTER_KEYS,
      PARLEY_ROLLOUT_DIR: shared.rolloutDir,
    }),
  }
  const removed = () => rm(folder, { recursive: true, force: true })
  try {
    const server = await startServer([...nodeArgs, import.meta.resolve('../src/main.ts')], { core, env })
    const stop = () => server[Symbol.asyncDispose]().then(removed)
    return { ...server, [Symbol.asyncDispose]: stop }
  } catch (error) {
    await removed()
    throw error
  }
}

function configOf(upstreamUrl: string): ConfigDocument {
  const model = { contextWindow: 128_000, continuation: 'restart', price: { input: 2, output: 8 } } as const
  const specialist = { title: 'Bench', instructions: 'Answer.' }
  const [route, specialists] = [TO.completions, TO.turns]
  return {
    description: 'for the bench',
    models: {
      mock: { ...model, provider: 'openai-compatible', model: 'mock', baseUrl: `${upstreamUrl}/v1` },
      offline: { ...model, provider: 'offline', pace: 1 },
    },
    routes: { [route.mock]: { models: ['mock'] }, [route.offline]: { models: ['offline'] } },
    specialists: {
      [specialists.mock]: { ...specialist, route: route.mock },
      [specialists.offline]: { ...specialist, route: route.offline },
    },
  }
}
