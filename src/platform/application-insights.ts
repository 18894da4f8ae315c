import type { MetricReader } from '@opentelemetry/sdk-metrics'
import type { SpanProcessor } from '@opentelemetry/sdk-trace-base'
import type { AzureMonitorOpenTelemetryOptions } from 'applicationinsights'
import { shutdownAzureMonitor, useAzureMonitor } from 'applicationinsights'

export interface ApplicationInsightsOptions {
  connectionString: string
  resource: AzureMonitorOpenTelemetryOptions['resource']
  /** Who else is told. */
  spanProcessors: readonly SpanProcessor[]
  metricReaders: readonly MetricReader[]
}

type Readers = NonNullable<AzureMonitorOpenTelemetryOptions['metricReaders']>

/** Nothing is captured by itself: what its instrumentations see of requests, statements and keys is more than we want to tell. */
const OFF = { enabled: false }

/**
 * Makes Application Insights the provider of the OpenTelemetry API's tracers and meters for this process; the result ends it,
 * with all that is left sent. Its default sampling drops spans, so the sampler that keeps all is asked for.
 */
export function startApplicationInsights(options: ApplicationInsightsOptions): () => Promise<void> {
  const { connectionString, resource, spanProcessors, metricReaders } = options
  // Figures about the library itself that it would send to its makers.
  // biome-ignore lint/style/noProcessEnv: It listens to nothing else.
  process.env.APPLICATION_INSIGHTS_NO_STATSBEAT = '1'
  // biome-ignore lint/style/noProcessEnv: It listens to nothing else.
  process.env.APPLICATIONINSIGHTS_SDKSTATS_DISABLED = 'true'
  useAzureMonitor({
    azureMonitorExporterOptions: { connectionString, disableOfflineStorage: true },
    ...(resource && { resource }),
    tracesPerSecond: 0,
    samplingRatio: 1,
    enableLiveMetrics: false,
    instrumentationOptions: {
      azureSdk: OFF,
      http: OFF,
      mongoDb: OFF,
      mySql: OFF,
      postgreSql: OFF,
      redis: OFF,
      redis4: OFF,
      bunyan: OFF,
      winston: OFF,
      console: OFF,
    },
    spanProcessors: [...spanProcessors],
    // It brings a copy of the SDK of its own: alike, but for the compiler.
    metricReaders: [...metricReaders] as unknown as Readers,
  })
  return () => shutdownAzureMonitor()
}
