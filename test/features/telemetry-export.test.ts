import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { localhostCertificate } from '../support/localhost-certificate.ts'
import { telemetrySink } from '../support/telemetry-sink.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const traceparent = `00-${TRACE}-00f067aa0ba902b7-01`
const secret = `marked-${crypto.randomUUID()}`

/** What a process that had one turn logged, and how it ended. */
async function runProcess(variables: Record<string, string>) {
  const args = ['test/support/telemetry-process.ts', JSON.stringify({ secret, traceparent })]
  const env = { ...process.env, PARLEY_METRICS_PORT: '0', ...variables }
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const [out, errors] = await Promise.all([text(child.stdout), text(child.stderr)])
  return { out: out + errors }
}

interface Envelope {
  name: string
  tags: Record<string, string>
  data: {
    baseType: string
    baseData: {
      id?: string
      name?: string
      properties?: Record<string, string>
      metrics?: { name: string; value: number }[]
    }
  }
}

test('Application Insights hears of a turn by the right names, and not a word of it', async (t) => {
  await using sink = await telemetrySink(true)
  const folder = await mkdtemp(path.join(tmpdir(), 'parley-telemetry-'))
  t.after(() => rm(folder, { recursive: true }))
  const certificate = path.join(folder, 'certificate.pem')
  await writeFile(certificate, localhostCertificate)
  const { out } = await runProcess({
    APPLICATIONINSIGHTS_CONNECTION_STRING: `InstrumentationKey=${crypto.randomUUID()};IngestionEndpoint=https://localhost:${sink.port}/`,
    NODE_EXTRA_CA_CERTS: certificate,
  })

  const tracks = sink.received.filter(({ path }) => path.includes('/track'))
  const envelopes = tracks.flatMap(({ body }) => JSON.parse(body) as Envelope[])
  const spans = envelopes.filter(({ data }) => ['RequestData', 'RemoteDependencyData'].includes(data.baseType))
  const ours = spans.filter(({ tags }) => tags['ai.operation.id'] === TRACE)
  const named = ours.map(({ data }) => data.baseData.name)
  for (const name of ['POST /api/v1/conversations/:id/turns', 'invoke_agent apollo', 'chat primary']) {
    assert.ok(named.includes(name), `${name} is missing among ${named.join(', ')}\n${out}`)
  }
  const id = (name: string) => ours.find(({ data }) => data.baseData.name === name)
  const [turn, call] = [id('invoke_agent apollo'), id('chat primary')]
  assert.equal(call?.data.baseData.properties?.['gen_ai.request.model'], 'primary')
  assert.equal(call?.tags['ai.operation.parentId'], turn?.data.baseData.id)

  const metrics = envelopes.flatMap(({ data }) => data.baseData.metrics ?? []).map(({ name }) => name)
  for (const name of ['gen_ai.client.operation.duration', 'ai_tokens_total', 'ai_first_token_duration_ms']) {
    assert.ok(metrics.includes(name), `${name} is missing among ${[...new Set(metrics)].join(', ')}`)
  }
  assert.match(out, /scraped \d+ false/)
  assert.ok(!JSON.stringify(sink.received).includes(secret), 'what was said was sent')
  assert.ok(!out.includes(secret), 'what was said was logged')
})

test('a collector hears of the same over OTLP', async () => {
  await using sink = await telemetrySink(false)
  const { out } = await runProcess({ OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${sink.port}` })
  const at = (path: string) => sink.received.filter((one) => one.path === path).map(({ body }) => body)
  const spans = at('/v1/traces').join()
  for (const name of ['POST /api/v1/conversations/:id/turns', 'invoke_agent apollo', 'chat primary', TRACE]) {
    assert.ok(spans.includes(name), `${name} is missing\n${out}`)
  }
  assert.ok(at('/v1/metrics').join().includes('gen_ai.client.token.usage'))
  assert.ok(!JSON.stringify(sink.received).includes(secret))
  assert.ok(!out.includes(secret))
})
