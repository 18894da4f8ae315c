import type { Attributes, Meter } from '@opentelemetry/api'
import { catalogue, type Metric, type MetricName } from './catalogue.ts'
import type { Observation } from './observations.ts'

/** How recorded metrics are recorded. */
export interface Instruments {
  add(name: MetricName, value: number, attributes: Attributes): void
  record(name: MetricName, value: number, attributes: Attributes): void
}

/** Makes every metric of the catalogue. `observe` is asked once for all that are looked at. */
export function createInstruments(meter: Meter, observe: () => Promise<readonly Observation[]>): Instruments {
  const writers = new Map<string, (value: number, attributes: Attributes) => void>()
  const observed = new Map<string, ReturnType<Meter['createObservableGauge']>>()
  for (const [name, metric] of Object.entries<Metric>(catalogue)) {
    const { kind, unit, description, boundaries } = metric
    const options = { unit, description, ...(boundaries && { advice: { explicitBucketBoundaries: boundaries } }) }
    if (kind === 'counter') {
      const counter = meter.createCounter(name, options)
      writers.set(name, (value, attributes) => counter.add(value, attributes))
    } else if (kind === 'histogram') {
      const histogram = meter.createHistogram(name, options)
      writers.set(name, (value, attributes) => histogram.record(value, attributes))
    } else if (kind === 'gauge') observed.set(name, meter.createObservableGauge(name, options))
    else observed.set(name, meter.createObservableCounter(name, options))
  }
  meter.addBatchObservableCallback(
    async (result) => {
      for (const { name, value, attributes } of await observe()) {
        const instrument = observed.get(name)
        if (instrument) result.observe(instrument, value, attributes)
      }
    },
    [...observed.values()],
  )
  const write = (name: MetricName, value: number, attributes: Attributes) => writers.get(name)?.(value, attributes)
  return { add: write, record: write }
}
