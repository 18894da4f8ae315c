import type { Reader } from './reader.ts'

/** Where secrets are looked up that the environment leaves out. */
export type SecretsEnv = { engine: 'environment' } | { engine: 'key-vault'; url: string; refreshMs: number }

/** Of the clouds that there are: a token is sent nowhere else. */
const VAULT = /^https:\/\/[a-z0-9-]{3,24}\.vault\.(azure\.net|azure\.cn|usgovcloudapi\.net|microsoftazure\.de)\/?$/i

/** Every variable that holds a secret, each with whether this process could use it: nothing else is asked for. */
const usable: Readonly<Record<string, (read: Reader) => boolean>> = {
  OPENAI_API_KEY: () => true,
  AZURE_OPENAI_API_KEY: (read) => read.text('AZURE_OPENAI_ENDPOINT') !== undefined,
  ENTRA_CLIENT_SECRET: (read) => read.text('ENTRA_CLIENT_ID') !== undefined,
  PARLEY_MASTER_KEYS: () => true,
  REDIS_URL: () => true,
  DATABASE_URL: () => true,
  SERVICE_BUS_CONNECTION_STRING: (read) => read.text('SERVICE_BUS_NAMESPACE') === undefined,
  AZURE_STORAGE_CONNECTION_STRING: (read) => read.text('AZURE_STORAGE_ACCOUNT_URL') === undefined,
  PARLEY_EVENT_GRID_KEY: (read) => read.text('PARLEY_ROLE') !== 'worker',
  PARLEY_ALERT_WEBHOOK: () => true,
  PARLEY_ALERT_WEBHOOK_SECRET: () => true,
  PARLEY_ALERT_SMTP_URL: (read) => read.text('PARLEY_ALERT_SMTP_TO') !== undefined,
}

export function readSecrets(read: Reader, faults: string[]): SecretsEnv {
  const url = read.text('KEY_VAULT_URL')
  const refreshMinutes = read.integer('PARLEY_KEY_VAULT_REFRESH_MINUTES', 1440, 1, 43_200)
  if (url === undefined) return { engine: 'environment' }
  if (!VAULT.test(url)) faults.push('KEY_VAULT_URL has to be that of a vault, https://<name>.vault.azure.net')
  return { engine: 'key-vault', url, refreshMs: refreshMinutes * 60_000 }
}

/** The secrets that the environment leaves out, and that this process could use. */
export function secretsLeftOut(read: Reader): string[] {
  return Object.keys(usable).filter((name) => read.text(name) === undefined && usable[name]?.(read))
}
