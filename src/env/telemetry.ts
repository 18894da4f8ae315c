import type { Reader } from './reader.ts'

/** Who is told of metrics and spans. */
export interface TelemetryEnv {
  /** How this service is called there. */
  service: string
  /** Where metrics are served without asking who reads them; undefined: on the main port only, to operators. */
  metrics: { host: string; port: number } | undefined
  /** Of a collector that speaks OTLP over HTTP. */
  otlpEndpoint: string | undefined
  applicationInsights: string | undefined
}

export function readTelemetry(read: Reader, faults: string[]): TelemetryEnv {
  const isServed = read.text('PARLEY_METRICS_PORT') !== undefined
  const port = read.integer('PARLEY_METRICS_PORT', 0, 0, 65_535)
  const applicationInsights = read.text('APPLICATIONINSIGHTS_CONNECTION_STRING')
  if (applicationInsights !== undefined && !/(^|;)\s*InstrumentationKey=/i.test(applicationInsights)) {
    faults.push('APPLICATIONINSIGHTS_CONNECTION_STRING has to name an InstrumentationKey')
  }
  return {
    service: read.text('OTEL_SERVICE_NAME') ?? 'parley',
    metrics: isServed ? { host: read.text('PARLEY_METRICS_HOST') ?? '127.0.0.1', port } : undefined,
    otlpEndpoint: read.url('OTEL_EXPORTER_OTLP_ENDPOINT', ['http:', 'https:']),
    applicationInsights,
  }
}
