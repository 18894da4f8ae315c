import fc from 'fast-check'
import type { Schema } from './document.ts'

/** Stands for the mark of the tenant that asks. */
export const MARK = '%%mark%%'

const strange = fc.constantFrom<unknown>(
  ...[null, true, 0, -1, 1.5, 1e308, Number.MAX_SAFE_INTEGER + 2, '', ' ', [], {}, [[[]]], '0'],
  ...[
    '\u0000',
    '\u202e\u200b',
    '\ud800',
    '👩‍👩‍👧‍👦'.repeat(50),
    '__proto__',
    'constructor',
    '../../etc/passwd',
    "' or 1=1 --",
  ],
  ...[deep(40), deep(3000), 'x'.repeat(70_000)],
)
/** What has a meaning, by the name it goes by: drawn from the schema alone it would never be met. */
const sensible: Record<string, fc.Arbitrary<unknown>> = {
  specialist: fc.constantFrom('hermes', 'athena', 'apollo', 'sisyphus'),
  model: fc.constantFrom('hermes', 'athena', 'default', 'slow'),
  version: nth('version'),
  hash: fc.constant('~~hash~~'),
  seen: fc.constant(`1:${'0'.repeat(64)}`),
  person: fc.constantFrom('ana', 'bert', 'operator', 'deputy', 'nobody'),
  cursor: nth('cursor'),
  after: fc.constantFrom(-1, 0, 1, 2),
  name: fc.constantFrom('a tool', 'another tool', 'x'),
  chat: fc.constantFrom(['*'], ['hermes'], []),
  month: fc.constantFrom('2026-10', '2026-11', '2026-12'),
  status: fc.constantFrom('succeeded', 'failed', 'dead-lettered', 'awaiting-approval'),
  arguments: fc.oneof(
    { arbitrary: fc.constant<unknown>('~~arguments~~'), weight: 9 },
    fc.constantFrom<unknown>({}, { x: 1 }),
  ),
  messages: fc.constantFrom<unknown>(
    [{ role: 'user', content: `Please open a ticket: ${MARK}` }],
    [{ role: 'user', content: 'What is 6 * 7?' }],
    [
      { role: 'system', content: MARK },
      { role: 'user', content: [{ type: 'text', text: 'hello' }] },
    ],
    [
      { role: 'user', content: 'hello' },
      { role: 'assistant', content: null, tool_calls: [] },
    ],
  ),
  n: fc.constantFrom(1, null),
}

/** The nth of a kind that exists by then: mostly one of the caller's own. */
export function nth(...kinds: readonly string[]): fc.Arbitrary<string> {
  const die = fc.record({ kind: fc.constantFrom(...kinds), any: fc.nat({ max: 7 }), at: fc.nat({ max: 50 }) })
  return die.map(({ kind, any, at }) => `~~${any === 0 ? 'any-' : ''}${kind}.${at}~~`)
}

const extraKey = fc.constantFrom(
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  'extra',
  '',
  '\u0000',
)

function deep(levels: number): unknown {
  let value: unknown = 1
  for (let level = 0; level < levels; level += 1) value = [value]
  return value
}

/** Values that fit the schema, as far as types, enums and limits say. */
export function fitting(
  schema: Schema,
  resolve: (schema: Schema) => Schema,
  name = '',
  depth = 0,
): fc.Arbitrary<unknown> {
  const known = sensible[name]
  if (known)
    return fc.oneof({ arbitrary: known, weight: 9 }, { arbitrary: fitting(schema, resolve, '', depth), weight: 1 })
  const { type, anyOf, properties = {}, ...rest } = resolve(schema)
  const inner = (part: Schema, of = '') => fitting(part, resolve, of, depth + 1)
  if (rest.const !== undefined) return fc.constant(rest.const)
  if (rest.enum) return fc.constantFrom(...rest.enum)
  if (anyOf) return fc.oneof(...anyOf.map((part) => inner(part)))
  if (type === 'boolean') return fc.boolean()
  if (type === 'null') return fc.constant(null)
  if (type === 'integer' || type === 'number') {
    const { minimum: min = 0, maximum: max = 1000 } = rest
    return type === 'integer' ? fc.integer({ min, max: Math.max(min, max) }) : fc.double({ min, max, noNaN: true })
  }
  if (type === 'string') return rest.pattern === undefined ? text(rest) : matching(rest.pattern)
  if (type === 'array') {
    const { items = {}, minItems = 0, maxItems = 4 } = rest
    return fc.array(inner(items), { minLength: minItems, maxLength: Math.max(minItems, Math.min(maxItems, 4)) })
  }
  if (type === 'object' && depth < 6) {
    const parts = Object.fromEntries(Object.entries(properties).map(([name, part]) => [name, inner(part, name)]))
    return fc.record(parts, { requiredKeys: [...(rest.required ?? [])].filter((name) => name in parts) })
  }
  return fc.constantFrom<unknown>({}, 'text', 1)
}

function matching(pattern: string): fc.Arbitrary<string> {
  return fc.stringMatching(new RegExp(pattern))
}

function text({ minLength = 0, maxLength = 2000 }: Schema): fc.Arbitrary<string> {
  const word = fc.oneof(
    fc.constantFrom(
      MARK,
      `Please open a ticket: ${MARK}`,
      'What is 6 * 7?',
      'hermes',
      'athena',
      'create_ticket',
      'hello',
    ),
    fc.string({ unit: 'binary', maxLength: 30 }),
  )
  const atLimit = fc.constantFrom('x'.repeat(Math.min(maxLength, 100_000)), 'y'.repeat(minLength))
  const fits = word.map((value) => value.slice(0, maxLength).padEnd(minLength, 'a'))
  return fc.oneof({ arbitrary: fits, weight: 8 }, { arbitrary: atLimit, weight: 1 })
}

/** A value of the schema with one fault: a part of it wrong, missing, too much, or one past its limit. */
export function faulty(schema: Schema, resolve: (schema: Schema) => Schema): fc.Arbitrary<unknown> {
  const { properties = {}, type } = resolve(schema)
  const names = Object.keys(properties)
  if (type !== 'object' || names.length === 0) return strange
  const fits = fitting(schema, resolve) as fc.Arbitrary<Record<string, unknown>>
  const name = fc.constantFrom(...names)
  return fc.oneof(
    strange,
    fc.tuple(fits, name, strange).map(([value, at, wrong]) => ({ ...value, [at]: wrong })),
    fc.tuple(fits, name).map(([value, at]) => ({ ...value, [at]: past(resolve(properties[at] ?? {})) })),
    fc.tuple(fits, name).map(([value, at]) => Object.fromEntries(Object.entries(value).filter(([key]) => key !== at))),
    fc
      .tuple(fits, extraKey, strange)
      .map(([value, at, wrong]) => Object.fromEntries([...Object.entries(value), [at, wrong]])),
  )
}

function past({ type, maximum, maxLength, maxItems }: Schema): unknown {
  if (type === 'string') return 'z'.repeat((maxLength ?? 10_000) + 1)
  if (type === 'array') return Array.from({ length: (maxItems ?? 1000) + 1 }, () => 'a')
  return (maximum ?? 1e21) + 1
}
