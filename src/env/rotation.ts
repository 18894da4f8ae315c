import { readEnv } from '#env.ts'
import { ParleyError } from '#errors.ts'
import type { Variables } from './reader.ts'

/** What of a secret's value says where something is; the rest of it may change while the process runs. */
const places: Readonly<Record<string, (value: string) => string>> = {
  REDIS_URL: placeOfUrl,
  DATABASE_URL: placeOfUrl,
  PARLEY_ALERT_WEBHOOK: (url) => new URL(url).origin,
  PARLEY_ALERT_SMTP_URL: placeOfUrl,
  SERVICE_BUS_CONNECTION_STRING: placeOfConnectionString,
  AZURE_STORAGE_CONNECTION_STRING: placeOfConnectionString,
}
const SECRET_PARTS = /^(AccountKey|SharedAccessKey|SharedAccessKeyName|SharedAccessSignature)=/i

/** Why the process cannot go on with the new value of a secret; undefined when it can. Says nothing of the value itself. */
export function rotationFault(variable: string, before: Variables, after: Variables): string | undefined {
  try {
    readEnv(after)
  } catch (error) {
    if (error instanceof ParleyError) return error.message
    throw error
  }
  const [present = '', next = ''] = [before[variable], after[variable]]
  const placeOf = places[variable]
  if (placeOf && placeOf(present) !== placeOf(next)) return 'It leads to another place, which takes a restart.'
  if (variable === 'PARLEY_MASTER_KEYS' && reusesId(present, next)) {
    return 'A new master key has the id of another one: what that one has wrapped could not be read.'
  }
  return undefined
}

function placeOfUrl(url: string): string {
  const { protocol, host, pathname } = new URL(url)
  return `${protocol}//${host}${pathname}`
}

function placeOfConnectionString(text: string): string {
  const parts = text.split(';').filter((part) => part.trim() !== '' && !SECRET_PARTS.test(part.trim()))
  return parts.sort().join(';')
}

function reusesId(present: string, next: string): boolean {
  const keys = new Map(present.split(',').map(idAndKey))
  return next
    .split(',')
    .map(idAndKey)
    .some(([id, key]) => keys.has(id) && keys.get(id) !== key)
}

function idAndKey(item: string): [string, string] {
  const [id = '', key = ''] = item.trim().split(':')
  return [id, Buffer.from(key, 'base64').toString('base64')]
}
