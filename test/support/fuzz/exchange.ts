import { Agent, type IncomingHttpHeaders, request as send } from 'node:http'
import type { FuzzRequest } from './requests.ts'

export type Sent = Pick<FuzzRequest, 'method' | 'target' | 'body'> & { headers: Record<string, string | string[]> }

export interface Answer {
  status: number
  type: string
  etag: string | undefined
  requestId: string | undefined
  headers: IncomingHttpHeaders
  text: string
}

/** So long a stream is read. */
const STREAM_MS = 100
/** Who has heard nothing for so long gives up. */
const PATIENCE_MS = 60_000

/** Asks, over connections that are kept; rejects where there is no answer. */
export function exchanges(url: string, atOnce: number) {
  const { hostname, port } = new URL(url)
  const agent = new Agent({ keepAlive: true, maxSockets: atOnce })
  const ports = new Set<number>()
  return {
    /** That connections came from. */
    ports,
    ask({ method, target, headers: given, body }: Sent): Promise<Answer> {
      // Node would send what a GET carries as the beginning of the next request.
      const headers = body === undefined ? given : { ...given, 'content-length': Buffer.byteLength(body) }
      return new Promise((resolve, reject) => {
        const asking = send(
          { agent, hostname, port, method, path: target, headers, timeout: PATIENCE_MS },
          (response) => {
            const chunks: Buffer[] = []
            const { localPort } = response.socket
            if (localPort !== undefined) ports.add(localPort)
            const header = (name: string) => response.headers[name]?.toString()
            const type = header('content-type') ?? ''
            const done = () => {
              clearTimeout(timer)
              if (!response.complete && !hasLeft) return reject(new Error('the answer broke off'))
              const [etag, requestId] = [header('etag'), header('x-request-id')]
              resolve({
                status: response.statusCode ?? 0,
                type,
                etag,
                requestId,
                headers: response.headers,
                text: Buffer.concat(chunks).toString(),
              })
            }
            let hasLeft = false
            const leave = () => {
              hasLeft = true
              asking.destroy()
            }
            const timer = type.startsWith('text/event-stream') ? setTimeout(leave, STREAM_MS) : undefined
            response
              .on('data', (chunk: Buffer) => chunks.push(chunk))
              .on('error', () => {})
              .on('close', done)
          },
        )
        asking.on('timeout', () => asking.destroy(new Error('timed out'))).on('error', reject)
        asking.end(body)
      })
    },
    close: () => agent.destroy(),
  }
}
