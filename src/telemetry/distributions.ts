import { type Attributes, type HrTime, ValueType } from '@opentelemetry/api'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  AggregationTemporality,
  type CollectionResult,
  DataPointType,
  type HistogramMetricData,
  type MetricProducer,
} from '@opentelemetry/sdk-metrics'
import type { Clock } from '#platform/clock.ts'
import type { Metric, MetricName } from './catalogue.ts'

const SCOPE = 'parley'

/**
 * Histograms, counted by us and handed over when somebody collects. The SDK sorts its attributes and writes them out at each record:
 * eight of them were 5 % of a short request. Only for who adds up nothing by itself, as Prometheus: all is told since the start.
 */
export class Distributions implements MetricProducer {
  readonly #clock: Clock
  readonly #kept: { name: MetricName; metric: Metric; all: Distribution[] }[] = []
  readonly #since: HrTime

  constructor(clock: Clock) {
    this.#clock = clock
    this.#since = timeOf(clock.now())
  }

  /** What makes the distributions of a metric: one for each set of attributes, which nobody asks for twice. */
  add(name: MetricName, metric: Metric): (attributes: Attributes) => Distribution {
    const all: Distribution[] = []
    this.#kept.push({ name, metric, all })
    return (attributes) => {
      const made = new Distribution(metric.boundaries ?? [], attributes)
      all.push(made)
      return made
    }
  }

  async collect(): Promise<CollectionResult> {
    const endTime = timeOf(this.#clock.now())
    const metrics: HistogramMetricData[] = this.#kept.map(({ name, metric: { description, unit }, all }) => ({
      descriptor: { name, description, unit, valueType: ValueType.DOUBLE },
      aggregationTemporality: AggregationTemporality.CUMULATIVE,
      dataPointType: DataPointType.HISTOGRAM,
      dataPoints: all
        .filter(({ count }) => count > 0)
        .map((each) => ({ startTime: this.#since, endTime, attributes: each.attributes, value: each.value() })),
    }))
    const told = metrics.filter(({ dataPoints }) => dataPoints.length > 0)
    const scopeMetrics = [{ scope: { name: SCOPE }, metrics: told }]
    return { resourceMetrics: { resource: resourceFromAttributes({}), scopeMetrics }, errors: [] }
  }
}

class Distribution {
  readonly attributes: Attributes
  readonly #boundaries: readonly number[]
  readonly #counts: number[]
  #sum = 0
  #min = Number.POSITIVE_INFINITY
  #max = Number.NEGATIVE_INFINITY
  count = 0

  constructor(boundaries: readonly number[], attributes: Attributes) {
    this.attributes = attributes
    this.#boundaries = boundaries
    this.#counts = Array.from({ length: boundaries.length + 1 }, () => 0)
  }

  /** Nothing, where the value is negative or no number. A boundary is the highest value of its bucket. */
  record(value: number): void {
    if (!(value >= 0)) return
    const bucket = this.#boundaries.findIndex((boundary) => value <= boundary)
    const at = bucket < 0 ? this.#boundaries.length : bucket
    this.#counts[at] = (this.#counts[at] ?? 0) + 1
    this.count += 1
    this.#sum += value
    this.#min = Math.min(this.#min, value)
    this.#max = Math.max(this.#max, value)
  }

  value(): HistogramMetricData['dataPoints'][number]['value'] {
    const buckets = { boundaries: [...this.#boundaries], counts: [...this.#counts] }
    return { buckets, count: this.count, sum: this.#sum, min: this.#min, max: this.#max }
  }
}

function timeOf(ms: number): HrTime {
  return [Math.floor(ms / 1000), Math.round((ms % 1000) * 1e6)]
}
