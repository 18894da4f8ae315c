import assert from 'node:assert/strict'
import type { ConfigDocument } from '#config/document.ts'
import { chatConfig, upstreamModel } from './chat-config.ts'
import { type Caller, type EntraApp, startEntraApp } from './entra-app.ts'
import { nativeClient } from './native-client.ts'
import type { OidcIssuer } from './oidc-issuer.ts'
import { sharedPostgres } from './postgres.ts'
import { startUpstream, type Upstream } from './upstream.ts'

/** The whole app behind Entra ID with a mock upstream, for tools that come with a Parley key. */
export interface KeyApp extends AsyncDisposable {
  app: EntraApp
  upstream: Upstream
  /** A key that somebody makes. */
  keyOf(maker: Caller, wish?: Record<string, unknown>): Promise<MadeKey>
}

export interface MadeKey {
  id: string
  key: string
  /** What a tool sends. */
  headers: Record<string, string>
}

export interface KeyAppOptions {
  issuer?: OidcIssuer
  upstream?: Upstream
  /** Instead of a PostgreSQL of its own. */
  variables?: Record<string, string>
}

/**
 * `plain` has no actions, `helper` two that are built in, `desk` one that is done on behalf of users and one that needs the
 * approval of whoever asks; a thousand tokens of an answer cost 8 USD.
 */
export async function startKeyApp(options: KeyAppOptions = {}): Promise<KeyApp> {
  await using opened = new AsyncDisposableStack()
  const upstream = options.upstream ?? opened.adopt(await startUpstream(), (mock) => mock.close())
  const base = chatConfig({
    primary: upstreamModel('primary', upstream.baseUrl, { price: { input: 0, output: 8000 }, maxOutput: 100 }),
  })
  const { plain } = base.specialists
  assert.ok(plain)
  const { actions = {} } = base
  assert.ok(actions.calculate)
  const config: ConfigDocument = {
    ...base,
    specialists: { ...base.specialists, desk: { ...plain, actions: ['open_ticket', 'confirmed'] } },
    actions: {
      ...actions,
      open_ticket: {
        description: 'Opens a ticket.',
        parameters: { type: 'object', additionalProperties: false, properties: {} },
        http: { method: 'POST', url: `http://${upstream.host}/tickets`, onBehalfOf: 'api://desk/.default' },
      },
      confirmed: { ...actions.calculate, approval: { ownAllowed: true, roles: ['Chat.User'] } },
    },
  }
  const { variables } = options
  const postgres = variables ? undefined : opened.use(await sharedPostgres())
  const app = opened.use(
    await startEntraApp({
      ...(options.issuer && { issuer: options.issuer }),
      config,
      variables: {
        PARLEY_EGRESS_HOSTS: upstream.host,
        ...(postgres && { DATABASE_URL: await postgres.createDatabase() }),
        ...variables,
      },
    }),
  )
  const closing = opened.move()
  return {
    app,
    upstream,
    async keyOf(maker, wish = {}) {
      const { call } = nativeClient(app.url)
      const { status, body } = await call('POST', '/api/v1/keys', { name: 'a tool', ...wish }, await app.as(maker))
      assert.equal(status, 201, JSON.stringify(body))
      return { id: body.id, key: body.key, headers: { authorization: `Bearer ${body.key}` } }
    },
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  }
}
