import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { createRemoteJWKSet, decodeJwt, jwtVerify } from 'jose'
import { keepAliveTimeout } from './keep-alive.ts'
import { localhostCertificate, localhostKey } from './localhost-certificate.ts'
import type { OidcIssuer } from './oidc-issuer.ts'

/** Microsoft Graph, as far as it tells a user which of some groups they are in. */
export interface Graph extends AsyncDisposable {
  /** `https://localhost:port`: the audience of tokens for it. */
  readonly origin: string
  /** Ids of groups, by the `oid` of who is in them. */
  readonly groups: Map<string, readonly string[]>
  /** What it was asked, request by request. */
  readonly asked: { oid: string; groupIds: readonly string[] }[]
  /** Answers every request like this while it is set. */
  fault: { status: number; code: string; headers?: Record<string, string> } | undefined
}

const MOST = 20

/** Over https, and to whoever the issuer vouches for; `trustLocalhost` is the issuer's. */
export async function startGraph(issuer: OidcIssuer): Promise<Graph> {
  const server = createServer({ key: localhostKey, cert: localhostCertificate, keepAliveTimeout })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const graph: Graph = {
    origin: `https://localhost:${(server.address() as AddressInfo).port}`,
    groups: new Map(),
    asked: [],
    fault: undefined,
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }

  async function oidOf({ headers }: IncomingMessage): Promise<string | undefined> {
    const token = headers.authorization?.replace(/^Bearer /, '') ?? ''
    try {
      const { tid } = decodeJwt(token)
      const keys = createRemoteJWKSet(new URL(`${issuer.authority}/${tid}/v2.0/jwks`))
      const { payload } = await jwtVerify(token, keys, { audience: graph.origin })
      return String(payload.oid)
    } catch {
      return undefined
    }
  }

  server.on('request', async (request, response) => {
    const answer = (status: number, body: unknown, headers: Record<string, string> = {}) =>
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
    const refuse = (status: number, code: string, headers?: Record<string, string>) =>
      answer(status, { error: { code, message: 'No.', innerError: { 'request-id': 'x' } } }, headers)
    const { groupIds } = (await json(request).catch(() => ({}))) as { groupIds?: string[] }
    if (graph.fault) return refuse(graph.fault.status, graph.fault.code, graph.fault.headers)
    const oid = await oidOf(request)
    if (oid === undefined) return refuse(401, 'InvalidAuthenticationToken')
    if (request.method !== 'POST' || request.url !== '/v1.0/me/checkMemberGroups') {
      return refuse(404, 'Request_ResourceNotFound')
    }
    if (!Array.isArray(groupIds) || groupIds.length === 0 || groupIds.length > MOST) {
      return refuse(400, 'Request_BadRequest')
    }
    graph.asked.push({ oid, groupIds })
    const own = graph.groups.get(oid) ?? []
    const context = `${graph.origin}/v1.0/$metadata#Collection(Edm.String)`
    return answer(200, { '@odata.context': context, value: groupIds.filter((id) => own.includes(id)) })
  })
  return graph
}
