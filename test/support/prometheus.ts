// @ts-expect-error It comes without types.
import untyped from 'parse-prometheus-text-format'

interface Parsed {
  name: string
  help: string
  type: string
  metrics: Sample[]
}

export interface Sample {
  labels?: Record<string, string>
  value?: string
}

/** A scrape, read by a parser of the exposition format that is not ours. */
export interface Scraped {
  /** What each metric is, by name. */
  types: Map<string, string>
  /** By the name of the line: those of a histogram end in `_count`, `_sum` and `_bucket`. */
  samples: Map<string, Sample[]>
}

const parse: (text: string) => Parsed[] = untyped

export function parseMetrics(text: string): Scraped {
  // What it makes of a histogram has no labels, so lines are read once more without their types.
  const plain = parse(text.replaceAll(/^#.*\n/gm, ''))
  return {
    types: new Map(parse(text).map(({ name, type }) => [name, type.toLowerCase()])),
    samples: new Map(plain.map(({ name, metrics }) => [name, metrics])),
  }
}

/** Values of the lines that have these labels, and perhaps others. */
export function valuesOf({ samples }: Scraped, name: string, labels: Record<string, string> = {}): string[] {
  return (samples.get(name) ?? [])
    .filter((sample) => Object.entries(labels).every(([label, value]) => sample.labels?.[label] === value))
    .map(({ value = '' }) => value)
}
