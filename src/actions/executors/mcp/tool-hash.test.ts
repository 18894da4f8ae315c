import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toolHash } from './tool-hash.ts'

const tool = {
  name: 'status',
  description: 'How a service is doing.',
  inputSchema: { type: 'object', properties: { service: { type: 'string' }, since: { type: 'integer' } } },
}

test('is about what is said, whatever the order', () => {
  const properties = { since: { type: 'integer' }, service: { type: 'string' } }
  const turned = { inputSchema: { properties, type: 'object' }, description: tool.description, name: tool.name }
  assert.equal(toolHash(turned), toolHash(tool))
  assert.equal(toolHash({ ...tool, title: 'Status' } as typeof tool), toolHash(tool), 'what models do not see')
  assert.equal(
    toolHash(tool),
    '67d8278eedf268f58ac8e3164d50712ca68a9ee0a3b8ae4470095b27280ed234',
    'pins of published versions hold',
  )
})

test('is another one for another name, description, schema or note', () => {
  const others = [
    { ...tool, name: 'Status' },
    { ...tool, description: 'How a service is doing' },
    { ...tool, inputSchema: { ...tool.inputSchema, required: ['service'] } },
    { ...tool, annotations: { readOnlyHint: true } },
    { ...tool, annotations: { readOnlyHint: false } },
  ]
  assert.equal(new Set([tool, ...others].map(toolHash)).size, 6)
})
