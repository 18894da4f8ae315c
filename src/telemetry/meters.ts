import type { MeterProvider as Meters } from '@opentelemetry/api'
import { PrometheusSerializer } from '@opentelemetry/exporter-prometheus'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  AggregationTemporality,
  InstrumentType,
  MeterProvider,
  type MetricProducer,
  MetricReader,
} from '@opentelemetry/sdk-metrics'
import type { Clock } from '#platform/clock.ts'
import { Distributions } from './distributions.ts'
import { createInstruments, type Instruments } from './instruments.ts'
import type { Observation } from './observations.ts'

export interface MetersOptions {
  observe(): Promise<readonly Observation[]>
  /** Somebody else's, which our reader is part of; one of our own where there is none. */
  provider?: Meters | undefined
  /** Made before, where others are told as well. */
  reader?: PullReader
  /** Who else is told. */
  readers?: readonly MetricReader[]
  service: Service
  clock: Clock
}

/** Who speaks, the same in all backends. */
export interface Service {
  name: string
  version: string
  /** This process among the replicas. */
  instance: string
}

/** Collects when it is asked to. */
export class PullReader extends MetricReader {
  constructor(metricProducers: MetricProducer[] = []) {
    // What was not seen this time is left out: gauges that cumulate repeat what was last seen, however long ago.
    super({
      metricProducers,
      aggregationTemporalitySelector: (instrument) =>
        instrument === InstrumentType.OBSERVABLE_GAUGE
          ? AggregationTemporality.DELTA
          : AggregationTemporality.CUMULATIVE,
    })
  }

  protected override async onForceFlush(): Promise<void> {}
  protected override async onShutdown(): Promise<void> {}
}

export interface OpenMeters {
  instruments: Instruments
  /** In the text format of Prometheus. */
  scrape(): Promise<string>
  close(): Promise<void>
}

/** The metrics SDK; a module of its own, because loading it takes longer than a start should. */
export function openMeters({ observe, service, clock, provider, reader, readers = [] }: MetersOptions): OpenMeters {
  // Others may want to be told what came since they were told last, which the SDK works out for each.
  const distributions = reader ? undefined : new Distributions(clock)
  const pull = reader ?? new PullReader(distributions && [distributions])
  const own = provider ? undefined : new MeterProvider({ resource: resourceOf(service), readers: [pull, ...readers] })
  const meter = (provider ?? own)?.getMeter('parley', service.version)
  if (!meter) throw new Error('There is no provider of meters.')
  const serializer = new PrometheusSerializer(undefined, false, undefined, false, true)
  return {
    instruments: createInstruments({ meter, observe, distributions }),
    async scrape() {
      const { resourceMetrics } = await pull.collect()
      return `${serializer.serialize(resourceMetrics).trimEnd()}\n`
    },
    close: async () => own?.shutdown(),
  }
}

export function resourceOf({ name, version, instance }: Service) {
  return resourceFromAttributes({
    'service.name': name,
    'service.version': version,
    'service.instance.id': instance,
  })
}
