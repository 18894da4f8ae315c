import type { MeterProvider, TracerProvider } from '@opentelemetry/api'
import type { MetricReader } from '@opentelemetry/sdk-metrics'
import type { PullReader, Service } from './meters.ts'

/** Where metrics and spans go, beside whoever asks for metrics. */
export interface BackendsEnv {
  /** Of a collector that speaks OTLP over HTTP. */
  otlpEndpoint: string | undefined
  /** A connection string. */
  applicationInsights: string | undefined
}

export interface Backends {
  tracers: TracerProvider
  /** Where it is not ours. */
  meters: MeterProvider | undefined
  reader: PullReader
  readers: readonly MetricReader[]
  close(): Promise<void>
}

/** Loads and starts what is configured; undefined where nothing is, and then nothing is loaded. */
export async function openBackends(env: BackendsEnv, service: Service): Promise<Backends | undefined> {
  const { otlpEndpoint, applicationInsights: connectionString } = env
  if (otlpEndpoint === undefined && connectionString === undefined) return undefined
  const { PullReader, resourceOf } = await import('./meters.ts')
  const reader = new PullReader()
  const resource = resourceOf(service)
  const otlp = otlpEndpoint === undefined ? undefined : (await import('./otlp.ts')).otlpTo(otlpEndpoint)
  const spanProcessors = otlp ? [otlp.spanProcessor] : []
  const readers = otlp ? [otlp.metricReader] : []

  if (connectionString === undefined) {
    const { BasicTracerProvider } = await import('@opentelemetry/sdk-trace-base')
    const tracers = new BasicTracerProvider({ resource, spanProcessors })
    return { tracers, meters: undefined, reader, readers, close: () => tracers.shutdown() }
  }
  const { startApplicationInsights } = await import('#platform/application-insights.ts')
  const metricReaders = [reader, ...readers]
  const close = startApplicationInsights({ connectionString, resource, spanProcessors, metricReaders })
  const { metrics, trace } = await import('@opentelemetry/api')
  return { tracers: trace.getTracerProvider(), meters: metrics.getMeterProvider(), reader, readers: [], close }
}
