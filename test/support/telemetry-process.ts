/** A process of its own, since Application Insights is a process's: one turn with words that nobody else may hear, then its end. */

import { startApp } from './app.ts'
import { parseMetrics } from './prometheus.ts'

const { secret = '', traceparent = '' } = JSON.parse(process.argv[2] ?? '{}') as Record<string, string>
const names = ['APPLICATIONINSIGHTS_CONNECTION_STRING', 'OTEL_EXPORTER_OTLP_ENDPOINT', 'PARLEY_METRICS_PORT']
const variables = Object.fromEntries(names.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])))
process.env.PARLEY_TEST_LOG = 'debug'
const app = await startApp({ variables })
await app.app.prepare()
const headers = { 'content-type': 'application/json', traceparent }
const post = async (path: string, body: unknown) => {
  const response = await fetch(`${app.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
  if (!response.ok) throw new Error(`${path} answered ${response.status}: ${await response.text()}`)
  return (await response.json()) as { id: string }
}
const { id } = await post('/api/v1/conversations', { specialist: 'apollo', title: secret })
await post(`/api/v1/conversations/${id}/turns`, { message: `Say this: ${secret}` })
const scraped = await (await fetch(app.app.metricsAddress ?? '')).text()
process.stdout.write(`\nscraped ${parseMetrics(scraped).types.size} ${scraped.includes(secret)}\n`)
await app.stop()
