import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer as createProxy, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { keepAliveTimeout } from './keep-alive.ts'
import { keyVaultCertificate, keyVaultKey } from './key-vault-certificate.ts'

/**
 * A Key Vault under its real address, `https://<name>.vault.azure.net`, that speaks as much of its REST protocol as reading secrets
 * takes: the challenge, versions, states, throttling. It is reached by a proxy, as the client knows it from HTTPS_PROXY.
 */
export interface KeyVault extends AsyncDisposable {
  readonly url: string
  /** For HTTPS_PROXY; a process of its own needs NODE_EXTRA_CA_CERTS as well. */
  readonly proxy: string
  /** What the identity of the process gets, and the vault takes. */
  readonly tokens: { token(scope: string): Promise<{ token: string; expiresAt: number }> }
  /** Scopes that tokens were asked for. */
  readonly scopes: readonly string[]
  /** `GET /secrets/name`, of those that brought a token. */
  readonly asked: readonly string[]
  /** A new version, as of now the one that is read. */
  put(name: string, value: string, attributes?: SecretAttributes): void
  remove(name: string): void
  /** What it does instead of answering: nothing, cutting the line, `429` as often with this `retry-after`, or a refusal. */
  fault: Fault | undefined
  /** Whom it says that tokens have to be for. */
  resource: string
}

/** Times in ms since the epoch. */
export interface SecretAttributes {
  enabled?: boolean
  notBefore?: number
  expires?: number
}

type Fault =
  | { kind: 'silent' | 'cut' | 'not-authorized' | 'firewall' | 'foreign-token' | 'broken' }
  | { kind: 'throttled'; times: number; retryAfterS: number }

interface Version {
  id: string
  value: string
  attributes: SecretAttributes
}

let trusted = false

export async function startKeyVault(name = `kv-${randomUUID().slice(0, 8)}`): Promise<KeyVault> {
  trustVaults()
  const host = `${name}.vault.azure.net`
  const url = `https://${host}`
  const token = `token-${randomUUID()}`
  const secrets = new Map<string, Version[]>()
  const scopes: string[] = []
  const asked: string[] = []
  const sockets = new Set<Socket>()
  let closing = false

  const server = createServer(
    { key: keyVaultKey, cert: keyVaultCertificate, keepAliveTimeout },
    (request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? '', url)
      if (vault.fault?.kind === 'cut') return void request.socket.destroy()
      if (vault.fault?.kind === 'silent') return
      if (request.headers.authorization !== `Bearer ${token}` || vault.fault?.kind === 'foreign-token') {
        const challenge = `Bearer authorization="https://login.microsoftonline.com/${randomUUID()}", resource="${vault.resource}"`
        response.setHeader('www-authenticate', challenge)
        return refuse(response, 401, 'Unauthorized', request.headers.authorization ? 'AKV10032' : undefined)
      }
      asked.push(`${request.method} ${pathname}`)
      if (!searchParams.has('api-version')) return refuse(response, 400, 'MissingApiVersionParameter')
      answer(request, response, pathname)
    },
  )

  function answer({ method }: IncomingMessage, response: ServerResponse, pathname: string): void {
    const { fault } = vault
    if (fault?.kind === 'throttled' && fault.times-- > 0) {
      response.setHeader('retry-after', String(fault.retryAfterS))
      return refuse(response, 429, 'Throttled', 'VaultRequestTypeLimitReached')
    }
    if (fault?.kind === 'broken') return refuse(response, 500, 'InternalServerError')
    if (fault?.kind === 'not-authorized') return refuse(response, 403, 'Forbidden', 'ForbiddenByRbac')
    if (fault?.kind === 'firewall') return refuse(response, 403, 'Forbidden', 'ForbiddenByFirewall')
    const [, collection, secret = '', id] = pathname.split('/')
    if (method !== 'GET' || collection !== 'secrets') return refuse(response, 405, 'MethodNotAllowed')
    if (!/^[0-9a-zA-Z-]{1,127}$/.test(secret)) return refuse(response, 400, 'BadParameter')
    const versions = secrets.get(secret.toLowerCase())
    const found = id ? versions?.find((version) => version.id === id) : versions?.at(-1)
    if (!found) return refuse(response, 404, 'SecretNotFound')
    const { enabled = true, notBefore, expires } = found.attributes
    if (!enabled) return refuse(response, 403, 'Forbidden', 'SecretDisabled')
    const seconds = (ms: number | undefined) => (ms === undefined ? undefined : Math.floor(ms / 1000))
    const attributes = { enabled, nbf: seconds(notBefore), exp: seconds(expires), recoveryLevel: 'Recoverable' }
    response.setHeader('content-type', 'application/json; charset=utf-8')
    response.end(JSON.stringify({ value: found.value, id: `${url}/secrets/${secret}/${found.id}`, attributes }))
  }

  const proxy = createProxy((_request, response) => void response.writeHead(405).end())
  proxy.on('connect', (request: IncomingMessage, client: Socket) => {
    if (closing) return void client.destroy()
    const { port } = server.address() as AddressInfo
    if (request.url !== `${host}:443`) return void client.end('HTTP/1.1 502 Bad Gateway\r\n\r\n')
    const upstream = connect(port, '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n')
      upstream.pipe(client).pipe(upstream)
    })
    keep(upstream)
    client.on('close', () => upstream.destroy())
    upstream.on('close', () => client.destroy())
  })

  // Those that have said nothing yet as well: closing waits for every one of them.
  server.on('connection', keep)
  proxy.on('connection', keep)
  function keep(socket: Socket): void {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    if (closing) socket.destroy()
  }

  server.listen(0, '127.0.0.1')
  proxy.listen(0, '127.0.0.1')
  await Promise.all([once(server, 'listening'), once(proxy, 'listening')])

  const vault: KeyVault = {
    url,
    proxy: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    scopes,
    asked,
    fault: undefined,
    resource: 'https://vault.azure.net',
    tokens: {
      token: async (scope) => {
        scopes.push(scope)
        return { token, expiresAt: Date.now() + 3_600_000 }
      },
    },
    put(secret, value, attributes = {}) {
      const version = { id: randomUUID().replaceAll('-', ''), value, attributes }
      secrets.set(secret, [...(secrets.get(secret) ?? []), version])
    },
    remove: (secret) => void secrets.delete(secret),
    async [Symbol.asyncDispose]() {
      closing = true
      for (const socket of sockets) socket.destroy()
      await Promise.all([server, proxy].map((each) => new Promise((resolve) => each.close(resolve))))
    },
  }
  return vault
}

function refuse(response: ServerResponse, status: number, code: string, inner?: string): void {
  const error = { code, message: `It was refused: ${code}.`, ...(inner && { innererror: { code: inner } }) }
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' }).end(JSON.stringify({ error }))
}

function trustVaults(): void {
  if (trusted) return
  trusted = true
  setDefaultCACertificates([...getCACertificates('default'), keyVaultCertificate])
}
