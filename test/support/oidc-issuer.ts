import { createPublicKey, generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import tls from 'node:tls'
import { type JWTHeaderParameters, type JWTPayload, jwtVerify, SignJWT } from 'jose'
import { type Configuration, Provider } from 'oidc-provider'
import { keepAliveTimeout } from './keep-alive.ts'
import { localhostCertificate, localhostKey } from './localhost-certificate.ts'

/** An OIDC issuer over https that speaks as Entra ID does: one per tenant, JWT access tokens with Entra's claims. */
export interface OidcIssuer extends AsyncDisposable {
  /** `https://localhost:port`. */
  readonly authority: string
  readonly home: Tenant
  readonly guest: Tenant
  readonly clientId: string
  readonly clientSecret: string
  /** How often a path that ends like this was asked for. */
  asked(pathEnd: string): number
  /** Answers 503 to everything while it is down. */
  down: boolean
  /** Who signs in next, without being asked. */
  user: IssuedUser
  /** What else is in the tokens of whoever signs in. */
  claims: Record<string, unknown>
  /** Users, by `oid`, for whom no token on behalf is given any more. */
  readonly disabled: Set<string>
  onBehalfOfLifetimeS: number
  /** Of access tokens that whoever signs in gets. */
  lifetimeS: number
}

export interface IssuedUser {
  oid: string
  name: string
  roles: readonly string[]
}

export interface Tenant {
  readonly id: string
  /** A token as the tenant would issue it, with claims added or (undefined) left out. */
  sign(claims?: Record<string, unknown>, options?: SignOptions): Promise<string>
  /** By the token endpoint: what an application gets for itself. */
  clientCredentials(): Promise<string>
  /** New keys; those of before are not published any more. */
  rotate(): void
}

export interface SignOptions {
  header?: Partial<JWTHeaderParameters>
  /** Instead of the tenant's. */
  key?: KeyObject | Uint8Array
}

interface IssuerKey {
  kid: string
  privateKey: KeyObject
}

export const SCOPE = 'access_as_user'
const LIFETIME_S = 3600
const OBO_GRANT = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
let trusted = false

export async function startOidcIssuer(redirectUris: readonly string[] = []): Promise<OidcIssuer> {
  trustLocalhost()
  const asked: string[] = []
  const tenants = new Map<string, { handle(request: IncomingMessage, response: ServerResponse): void }>()
  const server = createServer(
    { key: localhostKey, cert: localhostCertificate, keepAliveTimeout },
    (request, response) => {
      const path = request.url?.split('?')[0] ?? ''
      asked.push(path)
      const tenant = tenants.get(path.split('/')[1] ?? '')
      if (issuer.down || !tenant) response.writeHead(issuer.down ? 503 : 404).end()
      else tenant.handle(request, response)
    },
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const authority = `https://localhost:${(server.address() as AddressInfo).port}`
  const client = { id: randomUUID(), secret: randomUUID() }

  function openTenant(): Tenant {
    const id = randomUUID()
    const base = `${authority}/${id}/v2.0`
    let key = newKey()
    let provider = open()

    function open(): Provider {
      const made = new Provider(
        base,
        configurationOf(id, key, client, redirectUris, () => issuer),
      )
      made.proxy = true
      const parameters = ['assertion', 'requested_token_use', 'scope']
      made.registerGrantType(OBO_GRANT, (context) => onBehalfOf(context, issuer, key, base), parameters)
      return made
    }

    tenants.set(id, {
      handle(request, response) {
        const original = request.url ?? ''
        Object.assign(request, { originalUrl: original, url: original.slice(`/${id}/v2.0`.length) || '/' })
        if (request.url?.startsWith('/interaction/')) void interact(provider, issuer.user, request, response)
        else void provider.callback()(request, response)
      },
    })

    return {
      id,
      sign(claims = {}, { header, key: other } = {}) {
        const now = Math.floor(Date.now() / 1000)
        const payload = {
          ...{ aud: client.id, iss: base, iat: now, nbf: now, exp: now + LIFETIME_S, tid: id, ver: '2.0' },
          ...{ oid: issuer.user.oid, sub: `pairwise-${issuer.user.oid}`, name: issuer.user.name, azp: client.id },
          ...{ roles: issuer.user.roles, scp: SCOPE },
          ...claims,
        }
        return new SignJWT(payload as JWTPayload)
          .setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid: key.kid, ...header })
          .sign(other ?? key.privateKey)
      },
      async clientCredentials() {
        const body = new URLSearchParams({
          grant_type: 'client_credentials',
          client_id: client.id,
          client_secret: client.secret,
          resource: `api://${client.id}`,
        })
        const response = await fetch(`${base}/token`, { method: 'POST', body })
        const answer = (await response.json()) as { access_token?: string }
        if (!answer.access_token) throw new Error(`The issuer refused: ${JSON.stringify(answer)}`)
        return answer.access_token
      },
      rotate() {
        key = newKey()
        provider = open()
      },
    }
  }

  const issuer: OidcIssuer = {
    authority,
    home: openTenant(),
    guest: openTenant(),
    clientId: client.id,
    clientSecret: client.secret,
    asked: (pathEnd) => asked.filter((path) => path.endsWith(pathEnd)).length,
    down: false,
    user: { oid: randomUUID(), name: 'Ana Silva', roles: ['Chat.User'] },
    claims: {},
    disabled: new Set(),
    onBehalfOfLifetimeS: LIFETIME_S,
    lifetimeS: LIFETIME_S,
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
  return issuer
}

function configurationOf(
  tenant: string,
  key: IssuerKey,
  client: { id: string; secret: string },
  redirectUris: readonly string[],
  signingIn: () => Pick<OidcIssuer, 'user' | 'claims' | 'lifetimeS'>,
): Configuration {
  return {
    jwks: {
      keys: [{ ...key.privateKey.export({ format: 'jwk' }), kid: key.kid, use: 'sig', alg: 'RS256' }],
    } as NonNullable<Configuration['jwks']>,
    clients: [
      {
        client_id: client.id,
        client_secret: client.secret,
        grant_types: ['client_credentials', 'authorization_code', 'refresh_token', OBO_GRANT],
        redirect_uris: [...redirectUris],
        response_types: redirectUris.length > 0 ? ['code'] : [],
        token_endpoint_auth_method: 'client_secret_post',
      },
    ],
    scopes: ['openid', 'profile', 'offline_access', `api://${client.id}/${SCOPE}`],
    claims: { profile: ['name', 'oid', 'tid', 'roles', 'preferred_username'] },
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    cookies: { keys: [randomUUID()] },
    interactions: { url: (_context, { uid }) => `/${tenant}/v2.0/interaction/${uid}` },
    ttl: {
      AccessToken: () => signingIn().lifetimeS,
      ClientCredentials: LIFETIME_S,
      IdToken: LIFETIME_S,
      Session: 86_400,
      Grant: 86_400,
    },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => `api://${client.id}`,
        useGrantedResource: () => true,
        getResourceServerInfo: (_context, resource) => ({
          scope: `api://${client.id}/${SCOPE}`,
          audience: resource === `api://${client.id}` ? client.id : resource,
          accessTokenFormat: 'jwt',
          accessTokenTTL: signingIn().lifetimeS,
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
    findAccount: (_context, id) => ({
      accountId: id,
      claims: () => ({ ...entraClaims(tenant, signingIn().user), sub: id }),
    }),
    extraTokenClaims: (_context, token) =>
      token.kind === 'ClientCredentials'
        ? { tid: tenant, oid: client.id, azp: client.id, ver: '2.0', idtyp: 'app', roles: ['Chat.User'] }
        : { ...entraClaims(tenant, signingIn().user), azp: client.id, ver: '2.0', scp: SCOPE, ...signingIn().claims },
  }
}

function entraClaims(tenant: string, { oid, name, roles }: IssuedUser) {
  return { tid: tenant, oid, name, roles: [...roles], preferred_username: `${name.split(' ')[0]}@example.com` }
}

/** Entra's on-behalf-of flow: a token for a tool, for a token that the user gave us. */
async function onBehalfOf(
  context: Parameters<Parameters<Provider['registerGrantType']>[1]>[0],
  issuer: OidcIssuer,
  key: IssuerKey,
  base: string,
): Promise<void> {
  const { assertion, scope } = (context.oidc.params ?? {}) as { assertion?: string; scope?: string }
  const wanted = scope?.split(' ').find((name) => name.includes('/')) ?? ''
  try {
    const options = { issuer: base, audience: issuer.clientId }
    const { payload } = await jwtVerify(String(assertion), createPublicKey(key.privateKey), options)
    if (issuer.disabled.has(String(payload.oid))) throw new Error('disabled')
    const aud = wanted.slice(0, wanted.lastIndexOf('/'))
    const claims = {
      tid: payload.tid,
      oid: payload.oid,
      name: payload.name,
      azp: issuer.clientId,
      ver: '2.0',
      scp: 'user',
    }
    const token = await new SignJWT({ ...claims, jti: randomUUID() })
      .setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid: key.kid })
      .setIssuer(base)
      .setAudience(aud)
      .setSubject(String(payload.sub))
      .setIssuedAt()
      .setExpirationTime(`${issuer.onBehalfOfLifetimeS}s`)
      .sign(key.privateKey)
    context.body = { token_type: 'Bearer', access_token: token, expires_in: issuer.onBehalfOfLifetimeS, scope: wanted }
  } catch {
    context.status = 400
    context.body = { error: 'invalid_grant', error_description: 'AADSTS50013: the assertion is not valid.' }
  }
}

/** Signs in whoever is next, and consents to everything. */
async function interact(
  provider: Provider,
  user: IssuedUser,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { prompt, params, session, grantId } = await provider.interactionDetails(request, response)
  if (prompt.name === 'login') {
    return provider.interactionFinished(request, response, { login: { accountId: user.oid } })
  }
  const grant =
    (grantId === undefined ? undefined : await provider.Grant.find(grantId)) ??
    new provider.Grant({ accountId: session?.accountId ?? user.oid, clientId: String(params.client_id) })
  const { missingOIDCScope, missingResourceScopes } = prompt.details as {
    missingOIDCScope?: string[]
    missingResourceScopes?: Record<string, string[]>
  }
  grant.addOIDCScope((missingOIDCScope ?? []).join(' '))
  for (const [resource, scopes] of Object.entries(missingResourceScopes ?? {})) {
    grant.addResourceScope(resource, scopes.join(' '))
  }
  await provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } })
}

function newKey(): IssuerKey {
  return { kid: randomUUID(), privateKey: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey }
}

/** In this process; a child needs `NODE_EXTRA_CA_CERTS`. */
function trustLocalhost(): void {
  if (trusted) return
  trusted = true
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), localhostCertificate])
}
