import type { OutgoingHttpHeaders } from 'node:http'
import type { FastifyReply } from 'fastify'
import type { ParleyError } from '#errors.ts'
import type { EventStream, EventStreamOptions } from './event-stream.ts'
import { ResponseStream } from './response-stream.ts'

const STREAM_HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
}

/**
 * Takes the reply over and answers 200 with an event stream; errors must have been answered before. To a HEAD request the
 * stream has ended already.
 */
export function openEventStream(reply: FastifyReply, options: EventStreamOptions): EventStream {
  reply.hijack()
  const headers: OutgoingHttpHeaders = Object.assign(reply.getHeaders(), STREAM_HEADERS, options.headers)
  reply.raw.writeHead(200, headers)
  return new ResponseStream(reply, options.farewell)
}

/** Between losing a stream and asking for it again: not all who lose one at once are to be back at once. */
const RETRY_MS = { least: 1000, spread: 4000 }

/** An event stream that readers take up again where it broke off, unaided. */
export function openResumableStream(reply: FastifyReply, headers: OutgoingHttpHeaders = {}): EventStream {
  const stream = openEventStream(reply, { headers, farewell: renderNotice })
  stream.write(`retry: ${Math.floor(RETRY_MS.least + Math.random() * RETRY_MS.spread)}\n\n`)
  return stream
}

/** A stream ends though what it tells of may not have: what the reader should know before it reconnects. */
export function renderNotice({ code, message }: ParleyError): string {
  return `event: notice\ndata: ${JSON.stringify({ code, message })}\n\n`
}
