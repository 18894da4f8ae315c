import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkParameters, readArguments } from './arguments.ts'

const PARAMETERS = {
  type: 'object',
  required: ['title'],
  additionalProperties: false,
  properties: {
    title: { type: 'string', minLength: 1, maxLength: 5 },
    priority: { enum: ['low', 'high'] },
    due: { type: 'string', format: 'date' },
    tags: { type: 'array', items: { type: 'string' }, uniqueItems: true },
    size: { type: ['integer', 'null'], maximum: 9 },
  },
}

function refusal(text: string, parameters: Record<string, unknown> = PARAMETERS): string {
  const read = readArguments(parameters, text)
  return 'refusal' in read ? read.refusal : `taken: ${JSON.stringify(read.value)}`
}

test('arguments that fit are read', () => {
  const text = '{"title":"a","priority":"low","due":"whenever","tags":["x"],"size":9}'
  assert.deepEqual(readArguments(PARAMETERS, text), { value: JSON.parse(text) })
})

const refusals: Record<string, string> = {
  '': 'The arguments have to be one JSON object.',
  '{"title":': 'The arguments have to be one JSON object.',
  '[]': 'The arguments have to be one JSON object.',
  null: 'The arguments have to be one JSON object.',
  '"title"': 'The arguments have to be one JSON object.',
  '{}': 'The arguments do not fit: title is missing.',
  '{"title":5}': 'The arguments do not fit: title must be a string.',
  '{"title":""}': 'The arguments do not fit: title must not be empty.',
  '{"title":"abcdef"}': 'The arguments do not fit: title must not have more than 5 characters.',
  '{"title":"a","priority":"mid"}': 'The arguments do not fit: priority must be one of "low", "high".',
  '{"title":"a","size":1.5}': 'The arguments do not fit: size must be a whole number or null.',
  '{"title":"a","size":10}': 'The arguments do not fit: size must be <= 9.',
  '{"title":"a","tags":["x",1]}': 'The arguments do not fit: tags.1 must be a string.',
  '{"title":"a","tags":["x","x"]}': 'The arguments do not fit: tags.1 is there twice.',
  '{"titel":"a"}':
    'The arguments do not fit: title is missing; titel is not known here; known are: title, priority, due, tags, size.',
  '{"title":"a","__proto__":{}}':
    'The arguments do not fit: __proto__ is not known here; known are: title, priority, due, tags, size.',
}

for (const [text, message] of Object.entries(refusals)) {
  test(`refused, with what to correct: ${text}`, () => assert.equal(refusal(text), message))
}

test('not more than ten faults are told', () => {
  const names = Array.from({ length: 12 }, (_, index) => `p${index}`)
  assert.equal(refusal('{}', { type: 'object', required: names }).split(';').length, 10)
})

test('arguments of 262144 characters are read, one more is not', () => {
  const filled = (length: number) => '{}'.padStart(length)
  assert.equal(refusal(filled(262_144), { type: 'object' }), 'taken: {}')
  assert.equal(refusal(filled(262_145), { type: 'object' }), 'The arguments are too long.')
})

test('arguments too deep for a schema that refers to itself are refused', () => {
  const parameters = { type: 'object', properties: { x: { $ref: '#' } } }
  const nested = (levels: number) => `${'{"x":'.repeat(levels)}{}${'}'.repeat(levels)}`
  assert.match(refusal(nested(100), parameters), /^taken/)
  assert.equal(refusal(nested(40_000), parameters), 'The arguments are nested too deeply.')
})

test('a schema that describes an object passes', () => {
  assert.deepEqual(checkParameters(PARAMETERS), [])
  assert.deepEqual(checkParameters({ type: 'object' }), [])
  const referring = { $ref: '#/$defs/a' }
  const schema = { type: 'object', properties: { a: referring }, $defs: { a: { type: 'string', examples: ['x'] } } }
  assert.deepEqual(checkParameters(schema), [])
  assert.deepEqual(checkParameters({ $schema: 'https://json-schema.org/draft/2020-12/schema', type: 'object' }), [])
})

const faults: [string, Record<string, unknown>, string[]][] = [
  ['nothing', {}, ['type: must be "object"']],
  ['a list', { type: 'array' }, ['type: must be "object"']],
  ['an object or nothing', { type: ['object', 'null'] }, ['type: must be "object"']],
  [
    'a choice at the top',
    { type: 'object', oneOf: [] },
    ['oneOf: is not allowed at the top of parameters: providers refuse it', 'oneOf: must not be empty'],
  ],
  [
    'an unknown type',
    { type: 'object', properties: { a: { type: 'strng' } } },
    ['properties.a.type: must be one of "array", "boolean", "integer", "null", "number", "object", "string"'],
  ],
  ['a wrong keyword value', { type: 'object', required: 'a' }, ['required: must be a list']],
  [
    'a misspelt keyword',
    { type: 'object', requierd: [] },
    [': is not a usable JSON Schema: unknown keyword: "requierd"'],
  ],
  [
    'a pattern that is none',
    { type: 'object', properties: { a: { type: 'string', pattern: '(' } } },
    [': is not a usable JSON Schema: Invalid regular expression: /(/u: Unterminated group'],
  ],
  [
    'a reference to nowhere',
    { type: 'object', properties: { a: { $ref: '#/$defs/b' } } },
    [": is not a usable JSON Schema: can't resolve reference #/$defs/b from id #"],
  ],
  [
    'a reference out of the document',
    { type: 'object', properties: { a: { $ref: 'https://example.com/a' } } },
    [": is not a usable JSON Schema: can't resolve reference https://example.com/a from id #"],
  ],
  [
    'an older dialect',
    { $schema: 'http://json-schema.org/draft-07/schema#', type: 'object' },
    ['$schema: must be JSON Schema 2020-12'],
  ],
  ['a validator that answers later', { $async: true, type: 'object' }, ['$async: is not part of JSON Schema']],
  ['several at once', { type: 'array', required: 'a' }, ['type: must be "object"', 'required: must be a list']],
]

for (const [name, parameters, expected] of faults) {
  test(`not the parameters of a function: ${name}`, () => {
    const told = checkParameters(parameters).map(({ path, message }) => `${path.join('.')}: ${message}`)
    assert.deepEqual(told, expected)
  })
}

test('what one schema defines is out of sight of all others', () => {
  const named = (type: string) => ({ $id: 'https://example.com/same', type: 'object', properties: { a: { type } } })
  assert.deepEqual(checkParameters(named('string')), [])
  assert.deepEqual(checkParameters(named('number')), [])
  assert.equal(refusal('{"a":1}', named('number')), 'taken: {"a":1}')
})

test('numbers that would become others, and what is nested beyond all use, are refused', () => {
  const anything = { type: 'object', properties: { x: {} } } as const
  const read = (x: string) => readArguments(anything, `{"x":${x}}`)
  for (const x of ['9007199254740991', '-9007199254740991', '1e21', '0.1234567890123456789', '"9007199254740993"']) {
    assert.ok('value' in read(x), x)
  }
  for (const x of ['9007199254740992', '-9007199254740993', '1e400', '[{"y":12345678901234567890}]']) {
    assert.match(JSON.stringify(read(x)), /cannot be kept exactly/, x)
  }
  const nested = (depth: number) => read(`${'['.repeat(depth)}${']'.repeat(depth)}`)
  assert.ok('value' in nested(199))
  assert.match(JSON.stringify(nested(200)), /nested too deeply/)
  assert.match(JSON.stringify(nested(100_000)), /nested too deeply/)
})
