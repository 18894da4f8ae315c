import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { configSchema } from './publish-schema.ts'

test('the published schema is the one in the code; `npm run docs:config` writes it anew', async () => {
  const published = await readFile(new URL('../../docs/config.schema.json', import.meta.url), 'utf8')
  assert.equal(published, configSchema())
})
