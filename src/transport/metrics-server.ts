import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Log } from '#log.ts'

export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

export interface MetricsServer {
  /** `http://host:port/metrics`. */
  address: string
  close(): Promise<void>
}

/** Serves metrics, and nothing else, on a port of its own: to whoever reaches it, so it is not for the world to reach. */
export async function serveMetrics(
  { host, port }: { host: string; port: number },
  scrape: () => Promise<string>,
  log: Log,
): Promise<MetricsServer> {
  const server = createServer((request, response) => {
    const [path] = request.url?.split('?') ?? []
    if (path !== '/metrics') return void response.writeHead(404).end()
    if (request.method !== 'GET') return void response.writeHead(405, { allow: 'GET' }).end()
    scrape().then(
      (text) => response.writeHead(200, { 'content-type': METRICS_TYPE }).end(text),
      (error) => {
        log.error({ err: error }, 'Metrics could not be collected')
        response.writeHead(500).end()
      },
    )
  })
  server.listen({ host, port })
  await once(server, 'listening')
  const { port: served } = server.address() as AddressInfo
  return {
    address: `http://${host.includes(':') ? `[${host}]` : host}:${served}/metrics`,
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}
