import { ROOT_CONTEXT, SpanKind, SpanStatusCode, type Tracer, trace } from '@opentelemetry/api'
import { genAi } from './gen-ai.ts'
import type { OpenSpan, Spans } from './spans.ts'

const KINDS = {
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  consumer: SpanKind.CONSUMER,
  internal: SpanKind.INTERNAL,
}

/** Spans through the OpenTelemetry API. Parents are explicit, so nothing has to be carried along every promise. */
export function spansOf(tracer: Tracer): Spans {
  return {
    areOn: true,
    open(name, { parent, kind, attributes }): OpenSpan {
      const context = parent ? trace.setSpanContext(ROOT_CONTEXT, contextOf(parent)) : ROOT_CONTEXT
      const span = tracer.startSpan(name, { kind: KINDS[kind], attributes }, context)
      const { traceId, spanId, traceFlags } = span.spanContext()
      return {
        traceparent: `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`,
        end({ attributes: more, error } = {}) {
          if (more) span.setAttributes(more)
          if (error !== undefined) {
            span.setAttribute(genAi.errorType, error)
            span.setStatus({ code: SpanStatusCode.ERROR, message: error })
          }
          span.end()
        },
      }
    },
  }
}

/** Of a `traceparent` that was checked where it came in. */
function contextOf(traceparent: string) {
  const [, traceId = '', spanId = '', flags = '0'] = traceparent.split('-')
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true }
}
