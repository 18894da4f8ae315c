import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readHttp } from './http.ts'
import { reader } from './reader.ts'

function originsOf(text: string): { origins: readonly string[]; faults: string[] } {
  const faults: string[] = []
  return { origins: readHttp(reader({ PARLEY_CORS_ORIGINS: text }, faults), faults).corsOrigins, faults }
}

test('pages of no other origin may call, unless the environment names them', () => {
  assert.deepEqual(originsOf(''), { origins: [], faults: [] })
  const given = ['https://shop.example', 'https://shop.example:8443', 'http://localhost:5173', 'http://[::1]:1']
  assert.deepEqual(originsOf(given.join(', ')), { origins: given, faults: [] })
})

for (const text of [
  '*',
  'null',
  'https://*.example',
  'https://shop.example/',
  'https://shop.example/cart',
  'https://shop.example:443',
  'https://SHOP.example',
  'https://ana@shop.example',
  'http://shop.example',
  'http://localhost.shop.example',
  'http://10.0.0.1',
  'ws://localhost',
  'chrome-extension://abc',
  'shop.example',
  'file:///',
]) {
  test(`${text} is no origin that can be listed`, () => {
    assert.match(
      originsOf(`https://a.example, ${text}`).faults.join(),
      /^PARLEY_CORS_ORIGINS has to be origins by comma/,
    )
  })
}
