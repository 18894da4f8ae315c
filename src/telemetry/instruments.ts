import type { Attributes, Meter, Observable } from '@opentelemetry/api'
import { catalogue, type Metric, type MetricName } from './catalogue.ts'
import type { Distributions } from './distributions.ts'
import type { Observation } from './observations.ts'

/** How recorded metrics are recorded: by series, each a metric with its attributes. Finding one costs more than recording does. */
export interface Instruments {
  counter(name: MetricName, attributes: Attributes): Counter
  histogram(name: MetricName, attributes: Attributes): Histogram
}

export interface Counter {
  add(value: number): void
}

export interface Histogram {
  record(value: number): void
}

export interface InstrumentsOptions {
  meter: Meter
  /** Asked once for all that are looked at. */
  observe(): Promise<readonly Observation[]>
  /** What counts histograms; the meter, if nothing else does. */
  distributions: Distributions | undefined
}

/** Makes every metric of the catalogue. */
export function createInstruments({ meter, observe, distributions }: InstrumentsOptions): Instruments {
  const histograms = new Map<MetricName, (attributes: Attributes) => Histogram>()
  const observed = new Map<MetricName, Observable>()
  const series = new Map<string, Histogram>()
  const sums = new Map<string, Sum>()
  for (const [each, metric] of Object.entries<Metric>(catalogue)) {
    const name = each as MetricName
    const { kind, unit, description, boundaries } = metric
    const options = { unit, description }
    if (kind === 'gauge') observed.set(name, meter.createObservableGauge(name, options))
    else if (kind !== 'histogram') observed.set(name, meter.createObservableCounter(name, options))
    else if (distributions) histograms.set(name, distributions.add(name, metric))
    else {
      const advice = { explicitBucketBoundaries: boundaries ?? [] }
      const made = meter.createHistogram(name, { ...options, advice })
      histograms.set(name, (attributes) => ({ record: (value) => made.record(value, attributes) }))
    }
  }
  meter.addBatchObservableCallback(
    async (result) => {
      for (const { name, value, attributes } of [...(await observe()), ...sums.values()]) {
        const instrument = observed.get(name)
        if (instrument) result.observe(instrument, value, attributes)
      }
    },
    [...observed.values()],
  )
  return {
    counter: (name, attributes) => sums.getOrInsertComputed(placeOf(name, attributes), () => new Sum(name, attributes)),
    histogram: (name, attributes) =>
      series.getOrInsertComputed(placeOf(name, attributes), () => {
        const make = histograms.get(name)
        if (!make) throw new Error(`${name} is no histogram.`)
        return make(attributes)
      }),
  }
}

function placeOf(name: MetricName, attributes: Attributes): string {
  return name + JSON.stringify(attributes)
}

/** A counter, summed by us and looked at like the rest: one of the SDK takes five times as long to find its sum. */
class Sum implements Observation, Counter {
  readonly name: MetricName
  readonly attributes: Attributes
  value = 0

  constructor(name: MetricName, attributes: Attributes) {
    this.name = name
    this.attributes = attributes
  }

  add(value: number): void {
    this.value += value
  }
}
