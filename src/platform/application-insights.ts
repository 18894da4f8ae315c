import type { IMetricReader } from '@opentelemetry/sdk-metrics'
import type { SpanProcessor } from '@opentelemetry/sdk-trace-base'
import type { AzureMonitorOpenTelemetryOptions } from 'applicationinsights'
import { shutdownAzureMonitor, useAzureMonitor } from 'applicationinsights'

export interface ApplicationInsightsOptions {
  connectionString: string
  resource: AzureMonitorOpenTelemetryOptions['resource']
  /** Who else is told. */
  spanProcessors: readonly SpanProcessor[]
  metricReaders: readonly IMetricReader[]
}

/** Nothing is captured by itself: what its instrumentations see of requests, statements and keys is more than we want to tell. */
const OFF = { enabled: false }

/**
 * Makes Application Insights the provider of the OpenTelemetry API's tracers and meters for this process; the result ends it,
 * with all that is left sent. Its default sampling drops spans, so the sampler that keeps all is asked for.
 */
export function startApplicationInsights(options: ApplicationInsightsOptions): () => Promise<void> {
  const { connectionString, resource, spanProcessors, metricReaders } = options
  // Figures about the library itself that it would send to its makers.
  process.env.APPLICATION_INSIGHTS_NO_STATSBEAT = '1'
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
    metricReaders: [...metricReaders],
  })
  return () => shutdownAzureMonitor()
}
