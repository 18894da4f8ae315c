import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'

/** What leaves the process leaves by `platform/egress`; who leaves by a way of their own is named here, with whom they reach. */
const exceptions: Record<string, { files: RegExp; reaches: string; ways: readonly string[] }> = {
  egress: { files: /^src\/platform\/egress\//, reaches: 'what is permitted', ways: ['undici', 'node:net', 'node:tls'] },
  providers: {
    files: /^src\/models\/providers\//,
    reaches: 'models: hosts of the environment, or of PARLEY_EGRESS_HOSTS',
    ways: ['undici', 'openai'],
  },
  redis: { files: /^src\/platform\/kv\//, reaches: 'REDIS_URL', ways: ['ioredis'] },
  postgres: { files: /^src\/platform\/sql\//, reaches: 'DATABASE_URL', ways: ['pg', 'node:net'] },
  serviceBus: { files: /^src\/platform\/queue\//, reaches: 'SERVICE_BUS_…', ways: ['@azure/service-bus'] },
  blobs: { files: /^src\/platform\/blob\//, reaches: 'AZURE_STORAGE_…', ways: ['@azure/storage-blob'] },
  vault: { files: /^src\/platform\/secrets\//, reaches: 'KEY_VAULT_URL', ways: ['@azure/keyvault-secrets'] },
  credential: { files: /^src\/platform\/credential\.ts$/, reaches: 'the managed identity', ways: ['@azure/identity'] },
  insights: {
    files: /^src\/platform\/application-insights\.ts$/,
    reaches: 'APPLICATIONINSIGHTS_CONNECTION_STRING',
    ways: ['applicationinsights'],
  },
  collector: {
    files: /^src\/telemetry\/otlp\.ts$/,
    reaches: 'OTEL_EXPORTER_OTLP_ENDPOINT',
    ways: ['@opentelemetry/exporter-metrics-otlp-http', '@opentelemetry/exporter-trace-otlp-http'],
  },
  mcp: {
    files: /^src\/actions\/executors\/mcp\//,
    reaches: 'by the fetch of the egress, and commands of PARLEY_MCP_COMMANDS',
    ways: ['@modelcontextprotocol/client'],
  },
  mail: { files: /^src\/platform\/mail\//, reaches: 'by a connection of the egress', ways: ['nodemailer'] },
  entra: { files: /^src\/platform\/entra\//, reaches: 'by the fetch of the egress', ways: ['@azure/msal-node'] },
  servers: { files: /^src\/transport\//, reaches: 'nobody: they listen', ways: ['node:http'] },
  commandLine: { files: /^src\/cli\//, reaches: 'the process, as its user says', ways: ['fetch'] },
}

/** Every module and global by which something can leave. */
const MODULES =
  /^(node:)?(net|tls|https?|http2|dgram|inspector|child_process)$|^(undici|openai|ioredis|pg|nodemailer|applicationinsights|ws)$|^@azure\/|^@modelcontextprotocol\/|^@opentelemetry\/exporter-(?!prometheus)/

/** What a source uses to leave by: modules that it imports for more than types, and globals. */
function waysOut(source: string): string[] {
  const code = source.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/^\s*\/\/.*$/gm, '')
  const imports = code.matchAll(
    /import\s+(?!type\b)(?:([^'";]*?)\s+from\s+)?['"]([^'"]+)['"]|import\(['"]([^'"]+)['"]\)/g,
  )
  const modules = [...imports].flatMap(([, names = '', named, dynamic]) => {
    const module = named ?? dynamic ?? ''
    // What looks at an address or names a status reaches nobody.
    const isHarmless =
      /^\{[^}]*\}$/.test(names) && [...names.matchAll(/[A-Za-z]\w*(?:\s+\w+)?/g)].every(([name]) => HARMLESS.test(name))
    return MODULES.test(module) && !isHarmless ? [module.replace(/^(@[^/]+\/[^/]+|[^@/][^/]*)\/.*$/, '$1')] : []
  })
  const ownFetch = /[{(,]\s*fetch\s*[,:}=]|\bimport \{ fetch\b/.test(code)
  const globals = [
    ...(/(?<![.#\w])fetch\(/.test(code) && !ownFetch ? ['fetch'] : []),
    ...(/globalThis\s*(\.\s*fetch|\[)/.test(code) ? ['fetch'] : []),
    ...[...code.matchAll(/\bnew (WebSocket|EventSource|XMLHttpRequest)\(/g)].map(([, name = '']) => name),
  ]
  return [...new Set([...modules, ...globals])]
}

const HARMLESS = /^(type \w+|isIP|isIPv4|isIPv6|BlockList|STATUS_CODES)$/

const sources = globSync('src/**/*.ts').filter((file) => !file.endsWith('.test.ts'))

test('nothing leaves the process but by the egress, or by a way that is named', () => {
  const used = new Set<string>()
  for (const file of sources) {
    for (const way of waysOut(readFileSync(file, 'utf8'))) {
      const known = Object.entries(exceptions).find(([, { files, ways }]) => files.test(file) && ways.includes(way))
      assert.ok(
        known,
        `${file} leaves by ${way}: take what platform/egress hands in, or name it here and in docs/security.md`,
      )
      used.add(`${known[0]} ${way}`)
    }
  }
  for (const [name, { ways }] of Object.entries(exceptions)) {
    for (const way of ways) assert.ok(used.has(`${name} ${way}`), `nothing leaves by ${way} of ${name} any more`)
  }
})

test('ways out are seen, in whichever shape they are written', () => {
  for (const [source, ...ways] of [
    ["export const a = () => fetch('x')", 'fetch'],
    ["const a = globalThis.fetch('x')", 'fetch'],
    ["const s = new WebSocket('wss://x')", 'WebSocket'],
    ["import { request } from 'node:https'", 'node:https'],
    ["import { connect,\n  isIP } from 'node:net'", 'node:net'],
    ["import net from 'net'", 'net'],
    ["import 'undici'", 'undici'],
    ["const { default: pg } = await import('pg')", 'pg'],
    ["import { a } from '@azure/keyvault-secrets/deep'", '@azure/keyvault-secrets'],
  ] as const) {
    assert.deepEqual(waysOut(source), ways, source)
  }
  for (const source of [
    "import type { Socket } from 'node:net'",
    "import { isIP, type Socket } from 'node:net'",
    "export const a = (fetch: Fetch) => fetch('x')",
    "const { fetch } = options\nawait fetch('x')",
    "await options.fetch('x')\nawait this.#fetch()",
    "// fetch('x')\n/** new WebSocket('x') */",
  ]) {
    assert.deepEqual(waysOut(source), [], source)
  }
})
