import type { Overrides } from '../../src/app.ts'
import { startApp, type TestApp } from './app.ts'
import { chatConfig, upstreamModel } from './chat-config.ts'
import { startUpstream, type Upstream } from './upstream.ts'

export interface OpenAiApp extends AsyncDisposable {
  app: TestApp
  upstream: Upstream
  /** What a client is given as its base URL. */
  baseUrl: string
}

/**
 * The whole app for clients of OpenAI's API: `plain` and `helper` (which has actions) and the route `default` speak to a mock
 * upstream, `talker`, `doer` (which has actions) and the route `offline` to the offline model.
 */
export async function startOpenAiApp(
  variables: Record<string, string> = {},
  overrides: Overrides = {},
): Promise<OpenAiApp> {
  const upstream = await startUpstream()
  const config = chatConfig({ primary: upstreamModel('primary', upstream.baseUrl) })
  const { plain, helper } = config.specialists
  if (!plain || !helper) throw new Error('The config for tests has changed.')
  const app = await startApp({
    config: {
      ...config,
      models: {
        ...config.models,
        offline: {
          provider: 'offline',
          contextWindow: 32_000,
          continuation: 'instructed',
          price: { input: 0, output: 0 },
          pace: 2000,
        },
      },
      routes: { ...config.routes, offline: { models: ['offline'] } },
      specialists: {
        ...config.specialists,
        talker: { ...plain, route: 'offline' },
        doer: { ...helper, route: 'offline' },
      },
    },
    variables: { PARLEY_EGRESS_HOSTS: upstream.host, ...variables },
    overrides,
  })
  const stop = async () => {
    await app.stop()
    await upstream.close()
  }
  return { app, upstream, baseUrl: `${app.url}/v1`, [Symbol.asyncDispose]: stop }
}

/** A tool of the caller's own, as OpenAI's API describes it. */
export const weatherTool = {
  type: 'function' as const,
  function: {
    name: 'get_weather',
    description: 'The weather in a city.',
    parameters: {
      type: 'object',
      properties: { city: { type: 'string' } },
      required: ['city'],
      additionalProperties: false,
    },
  },
}
