import type { Attributes, Histogram, Meter, Observable } from '@opentelemetry/api'
import { catalogue, type Metric, type MetricName } from './catalogue.ts'
import type { Observation } from './observations.ts'

/** How recorded metrics are recorded. */
export interface Instruments {
  add(name: MetricName, value: number, attributes: Attributes): void
  record(name: MetricName, value: number, attributes: Attributes): void
}

/** Makes every metric of the catalogue. `observe` is asked once for all that are looked at. */
export function createInstruments(meter: Meter, observe: () => Promise<readonly Observation[]>): Instruments {
  const histograms = new Map<MetricName, Histogram>()
  const observed = new Map<MetricName, Observable>()
  const sums = new Sums()
  for (const [each, metric] of Object.entries<Metric>(catalogue)) {
    const name = each as MetricName
    const { kind, unit, description, boundaries } = metric
    const options = { unit, description, ...(boundaries && { advice: { explicitBucketBoundaries: boundaries } }) }
    if (kind === 'histogram') histograms.set(name, meter.createHistogram(name, options))
    else if (kind === 'gauge') observed.set(name, meter.createObservableGauge(name, options))
    else observed.set(name, meter.createObservableCounter(name, options))
  }
  meter.addBatchObservableCallback(
    async (result) => {
      for (const { name, value, attributes } of [...(await observe()), ...sums.all()]) {
        const instrument = observed.get(name)
        if (instrument) result.observe(instrument, value, attributes)
      }
    },
    [...observed.values()],
  )
  return {
    add: (name, value, attributes) => sums.add(name, value, attributes),
    record: (name, value, attributes) => histograms.get(name)?.record(value, attributes),
  }
}

/** Counters, summed by us and looked at like the rest: a counter of the SDK takes five times as long to find its sum. */
class Sums {
  readonly #sums = new Map<string, Observation>()

  add(name: MetricName, value: number, attributes: Attributes): void {
    const place = name + JSON.stringify(attributes)
    const sum = this.#sums.get(place)
    if (sum) sum.value += value
    else this.#sums.set(place, { name, value, attributes })
  }

  all(): Iterable<Observation> {
    return this.#sums.values()
  }
}
