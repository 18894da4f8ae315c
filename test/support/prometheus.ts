import { createRequire } from 'node:module'

/** A metric as a scrape has it, read by a parser of the exposition format that is not ours. */
export interface Scraped {
  name: string
  help: string
  type: string
  metrics: {
    labels?: Record<string, string>
    value?: string
    count?: string
    sum?: string
    buckets?: Record<string, string>
  }[]
}

const parse: (text: string) => Scraped[] = createRequire(import.meta.url)('parse-prometheus-text-format')

export function parseMetrics(text: string): Map<string, Scraped> {
  return new Map(parse(text).map((metric) => [metric.name, metric]))
}

/** The samples of a metric whose labels are these and perhaps others. */
export function samplesOf(scraped: Map<string, Scraped>, name: string, labels: Record<string, string> = {}) {
  return (scraped.get(name)?.metrics ?? []).filter((sample) =>
    Object.entries(labels).every(([label, value]) => sample.labels?.[label] === value),
  )
}
