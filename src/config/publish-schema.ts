import { writeFileSync } from 'node:fs'
import { ConfigDocument } from './document.ts'

/** The text of `docs/config.schema.json`, for editors and for whoever generates config versions. */
export function configSchema(): string {
  const $schema = 'https://json-schema.org/draft/2020-12/schema'
  return `${JSON.stringify({ $schema, title: 'Parley config version', ...ConfigDocument }, null, 2)}\n`
}

if (import.meta.main) {
  writeFileSync(new URL('../../docs/config.schema.json', import.meta.url), configSchema())
}
