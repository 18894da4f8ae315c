import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { gunzipSync } from 'node:zlib'
import { keepAliveTimeout } from './keep-alive.ts'
import { localhostCertificate, localhostKey } from './localhost-certificate.ts'

/** What telemetry is sent to: takes all of it, and shows what came. */
export interface TelemetrySink extends AsyncDisposable {
  port: number
  received: { path: string; body: string }[]
}

/** Application Insights over TLS at `localhost`, or a collector in plain HTTP. */
export async function telemetrySink(secure: boolean): Promise<TelemetrySink> {
  const received: TelemetrySink['received'] = []
  const take = async (request: IncomingMessage, response: ServerResponse) => {
    const isZipped = request.headers['content-encoding'] === 'gzip'
    const chunks = isZipped ? await request.toArray() : undefined
    const body = chunks ? gunzipSync(Buffer.concat(chunks)).toString() : await text(request)
    received.push({ path: request.url ?? '', body })
    const items = body.startsWith('[') ? (JSON.parse(body) as unknown[]).length : 1
    const answer = secure ? { itemsReceived: items, itemsAccepted: items, errors: [] } : {}
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
  }
  const server = secure
    ? createServer({ cert: localhostCertificate, key: localhostKey, keepAliveTimeout }, (...pair) => void take(...pair))
    : createHttpServer({ keepAliveTimeout }, (...pair) => void take(...pair))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    received,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
