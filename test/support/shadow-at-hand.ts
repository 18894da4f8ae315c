import assert from 'node:assert/strict'
import { setTimeout } from 'node:timers/promises'
import type { ConfigDocument } from '#config/document.ts'
import type { ShadowView } from '#config/shadow.ts'
import type { ModelSpec } from '#models/schema.ts'
import { startApp, type TestApp } from './app.ts'
import { chatConfig, upstreamModel } from './chat-config.ts'
import { nativeClient } from './native-client.ts'
import { type Plan, startUpstream, type Upstream } from './upstream.ts'

/** An app that serves `v1`, with `v2` pushed and not begun; both ask one upstream, each for a model of its own. */
export interface ShadowAtHand extends AsyncDisposable {
  app: TestApp
  client: ReturnType<typeof nativeClient>
  upstream: Upstream
  /** How the upstream answers each of the two models. */
  plans: { served: Plan; candidate: Plan }
  consent(given?: boolean): Promise<void>
  start(more?: Partial<{ share: number; budgetUsd: number; turns: number }>): Promise<ShadowView>
  /** Ends what is tried, and begins anew: answers as usual, and nothing asked yet. */
  end(): Promise<void>
  view(): Promise<ShadowView>
  /** Looks until it is so. */
  viewWhen(holds: (view: ShadowView) => boolean): Promise<ShadowView>
  /** A turn of a new conversation, to its end. */
  talk(message?: string, specialist?: string): Promise<{ status: string; runs: unknown[] }>
  /** What the candidate's model was asked. */
  copies(): Upstream['requests']
}

export interface ShadowAtHandOptions {
  candidate?: Partial<ModelSpec>
  document?(given: ConfigDocument): ConfigDocument
  variables?: Record<string, string>
  isLoaded?(): boolean
}

const LOOK_MS = 20
const path = '/api/v1/config/shadow'

export async function shadowAtHand(options: ShadowAtHandOptions = {}): Promise<ShadowAtHand> {
  const { document = (given) => given, isLoaded = () => false } = options
  await using opened = new AsyncDisposableStack()
  const usual = (): ShadowAtHand['plans'] => ({
    served: { pieces: ['It is ', 'noon.'] },
    candidate: { pieces: ['Noon, ', 'it is!'] },
  })
  const plans = usual()
  const byModel: Upstream['plan'] = ({ model }) => (model === 'candidate' ? plans.candidate : plans.served)
  const upstream = await startUpstream(byModel)
  opened.defer(() => upstream.close())
  const config = chatConfig({ only: upstreamModel('served', upstream.baseUrl) })
  const variables = { PARLEY_ROLLOUT_STARTS: 'by-hand', PARLEY_EGRESS_HOSTS: upstream.host, ...options.variables }
  const app = await startApp({ config, variables, overrides: { isLoaded } })
  opened.use(app)
  const client = nativeClient(app.url)
  const candidate = upstreamModel('candidate', upstream.baseUrl, options.candidate)
  const tried = document({ ...chatConfig({ only: candidate }), description: 'Tried.' })
  const pushed = await client.call('PUT', '/api/v1/config/versions/v2', tried)
  assert.equal(pushed.status, 201, JSON.stringify(pushed.body))
  const view = async (): Promise<ShadowView> => (await client.call('GET', path)).body
  const lifetime = opened.move()
  return {
    ...{ app, client, upstream, plans, view },
    async consent(given = true) {
      const { status, body } = await client.call('PUT', '/api/v1/me/consents', { shadow: given })
      assert.equal(status, 200, JSON.stringify(body))
    },
    async start(more) {
      const { etag } = await view()
      const asked = { version: 'v2', share: 100, budgetUsd: 5, turns: 10, ...more }
      const { status, body } = await client.call('POST', `${path}/start`, asked, { 'if-match': `"${etag}"` })
      assert.equal(status, 200, JSON.stringify(body))
      return body
    },
    async end() {
      const { etag, live } = await view()
      if (live) await client.call('POST', `${path}/stop`, {}, { 'if-match': `"${etag}"` })
      await Promise.all(upstream.requests.map(({ closed }) => closed))
      upstream.requests.splice(0)
      upstream.plan = byModel
      Object.assign(plans, usual())
    },
    async viewWhen(holds) {
      for (;;) {
        const now = await view()
        if (holds(now)) return now
        await setTimeout(LOOK_MS)
      }
    },
    async talk(message = 'What time is it?', specialist = 'plain') {
      const conversation = await client.conversation(specialist)
      const { body } = await client.call('POST', `/api/v1/conversations/${conversation}/turns`, { message })
      return { status: body.status, runs: body.receipt?.runs ?? [] }
    },
    copies: () => upstream.requests.filter(({ body }) => body.model === 'candidate'),
    [Symbol.asyncDispose]: () => lifetime.disposeAsync(),
  }
}

export const comparedTimes = (times: number) => (view: ShadowView) => view.comparison?.turns.compared === times
