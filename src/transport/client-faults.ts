import { type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { ParleyError } from '#errors.ts'
import { newId } from '#ids.ts'

/** Answers what never became a request (too slow, too many headers, not HTTP), as far as it can be answered. */
export function refuseBrokenClient(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return
  // Node keeps the response under way here and looks at it likewise: an error must not land within another answer.
  const underWay = (socket as Socket & { _httpMessage?: ServerResponse | null })._httpMessage
  if (socket.writable && !underWay?.headersSent) socket.write(render(faultOf(error.code)))
  socket.destroySoon()
}

/** Answers CONNECT, which makes a proxy of whoever accepts it. */
export function refuseTunnel(socket: Duplex): void {
  socket.on('error', () => {})
  socket.end(render(new ParleyError('method_not_allowed')))
}

function faultOf(code: string | undefined): ParleyError {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return new ParleyError('request_timeout')
  if (code === 'HPE_HEADER_OVERFLOW') return new ParleyError('headers_too_large')
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') return new ParleyError('body_too_large')
  return new ParleyError('invalid_request', { message: 'This is not a valid HTTP/1.1 request.' })
}

function render(fault: ParleyError): string {
  const id = newId('req')
  const body = JSON.stringify(fault.toBody(id))
  return [
    `HTTP/1.1 ${fault.status} ${STATUS_CODES[fault.status]}`,
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    `x-request-id: ${id}`,
    'connection: close',
    '',
    body,
  ].join('\r\n')
}
