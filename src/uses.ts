import type { Env } from './env.ts'

/** What serves a need, to be shown at start. */
export interface Use {
  need: string
  engine: string
}

export function usesOf(
  env: Env,
  engines: { kv: 'redis' | 'sqlite'; sql: 'postgres' | 'pglite'; queue: 'service-bus' | 'sqlite' },
  version: string,
): Use[] {
  const { kv, sql, queue } = engines
  return [
    { need: 'state', engine: kv === 'redis' ? 'Redis' : `SQLite in ${env.dataDir}` },
    { need: 'runs', engine: sql === 'postgres' ? 'PostgreSQL' : 'PGlite, once the first action is called' },
    { need: 'queue', engine: queue === 'service-bus' ? 'Service Bus' : 'SQLite' },
    { need: 'config', engine: describeVersions(env, version) },
    { need: 'models', engine: describeModels(env) },
    { need: 'identity', engine: describeIdentity(env) },
    ...(env.secrets.engine === 'key-vault'
      ? [{ need: 'secrets', engine: `the Key Vault ${new URL(env.secrets.url).host}` }]
      : []),
  ]
}

function describeVersions({ blob }: Env, name: string): string {
  return `${name} of ${blob.engine === 'azure' ? `the container ${blob.versions}` : blob.versions}`
}

function describeModels({ models: { openai, azureOpenai } }: Env): string {
  const reachable = [
    openai && new URL(openai.baseUrl).host,
    azureOpenai && new URL(azureOpenai.endpoint).host,
    'offline',
  ]
  return reachable.filter(Boolean).join(', ')
}

function describeIdentity({ identity }: Env): string {
  if (identity.engine === 'local') return 'whoever sits at this machine'
  const guests = identity.guests.length
  return `Entra ID, tenant ${identity.tenant}${guests > 0 ? ` and ${guests} that are guests` : ''}`
}
