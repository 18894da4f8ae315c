import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { configSchema } from './publish-schema.ts'

test('the published schema is the one in the code; `npm run docs:config` writes it anew', async () => {
  const published = await readFile(new URL('../../docs/config.schema.json', import.meta.url), 'utf8')
  assert.equal(published, configSchema())
})

test('what config versions are checked against is JSON Schema 2020-12', () => {
  const ajv = new Ajv2020()
  assert.equal(ajv.validateSchema(JSON.parse(configSchema())), true, ajv.errorsText())
  assert.equal(ajv.validateSchema({ type: 'thing' }), false)
})
