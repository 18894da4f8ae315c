import type { IncomingMessage } from 'node:http'

const ADDRESS = /^\/ws\/v1\/specialists\/[\w-]{1,64}(\?|$)/

/**
 * What Node takes out of HTTP and hands over as a bare socket. Everything else that wants to change the protocol (clients
 * that offer HTTP/2 with each request among them, and whoever speaks HTTP/1.0) is answered as if it had not asked, as RFC 9110 §7.8
 * has it.
 */
export function isWebSocketHandshake({ method, url = '', headers, httpVersion }: IncomingMessage): boolean {
  if (httpVersion === '1.0') return false
  return method === 'GET' && headers.upgrade?.toLowerCase() === 'websocket' && ADDRESS.test(url)
}
