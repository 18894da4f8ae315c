import type { FastifyInstance } from 'fastify'
import type { OpenSpan, Spans } from '#telemetry/spans.ts'

declare module 'fastify' {
  interface FastifyRequest {
    span: OpenSpan | null
  }
}

/** Each request that is let in is a span of the caller's trace, and what it begins belongs to it. Addresses are told by their routes. */
export function registerTracing(server: FastifyInstance, spans: Spans): void {
  if (!spans.areOn) return
  server.decorateRequest('span', null)
  server.addHook('onRequest', (request, _reply, done) => {
    const { method } = request
    const { url: route = 'unknown' } = request.routeOptions
    const attributes = { 'http.request.method': method, 'http.route': route }
    request.span = spans.open(`${method} ${route}`, { parent: request.traceparent, kind: 'server', attributes })
    request.traceparent = request.span.traceparent ?? request.traceparent
    done()
  })
  server.addHook('onResponse', (request, reply, done) => {
    const { statusCode: status } = reply
    request.span?.end({
      attributes: { 'http.response.status_code': status },
      error: status >= 500 ? String(status) : undefined,
    })
    done()
  })
}
