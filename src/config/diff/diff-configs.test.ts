import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { stringify } from 'yaml'
import type { Change } from '../diff.ts'
import type { ConfigDocument } from '../document.ts'
import { loadVersion } from '../load.ts'
import { diffConfigs } from './diff-configs.ts'

const BASE: ConfigDocument = {
  description: 'First',
  models: {
    one: { provider: 'offline', contextWindow: 1000, continuation: 'restart', price: { input: 1, output: 2 } },
  },
  routes: { main: { models: ['one'] } },
  specialists: {
    apollo: { title: 'Apollo', instructions: 'Be brief and kind.', route: 'main', actions: ['add', 'look'] },
  },
  actions: {
    add: {
      description: 'Adds',
      builtin: 'calculate',
      access: 'read',
      parameters: { type: 'object', required: ['a', 'b'] },
    },
    look: { description: 'Looks', builtin: 'calculate', access: 'read', parameters: { type: 'object' } },
  },
}

function changed(edit: (document: ConfigDocument) => void): ConfigDocument {
  const copy = structuredClone(BASE)
  edit(copy)
  return copy
}

function diff(from: ConfigDocument, to: ConfigDocument) {
  return diffConfigs({ name: 'v1', document: from }, { name: 'v2', document: to })
}

function changesBy(edit: (document: ConfigDocument) => void): readonly Change[] {
  return diff(BASE, changed(edit)).changes
}

test('a document is identical to itself, in whatever format and order of keys', () => {
  const text = readFileSync(new URL('../../../config-versions/v002.yaml', import.meta.url))
  const yaml = loadVersion('v002', text, 'yaml', [])
  assert.ok('version' in yaml)
  const { document } = yaml.version
  const reversed = Object.fromEntries(Object.entries(document).toReversed())
  for (const [bytes, format] of [
    [JSON.stringify(document), 'json'],
    [stringify(reversed), 'yaml'],
  ] as const) {
    const again = loadVersion('v003', Buffer.from(bytes), format, [])
    assert.ok('version' in again)
    assert.deepEqual(diff(document, again.version.document), {
      ...{ from: 'v1', to: 'v2', identical: true },
      ...{ changes: [], weakenings: [] },
    })
  }
})

test('entries are added and removed as a whole, values are told with their path', () => {
  const added = { models: ['one'], stallTimeoutMs: 100 }
  const changes = changesBy((document) => {
    document.routes.other = added
    delete document.actions?.look
    const { one } = document.models
    if (one) Object.assign(one, { contextWindow: 2000, price: { input: 1, output: 3, cachedInput: 0.5 } })
  })
  assert.deepEqual(changes, [
    { kind: 'changed', section: 'models', name: 'one', path: 'contextWindow', before: 1000, after: 2000 },
    { kind: 'added', section: 'models', name: 'one', path: 'price.cachedInput', after: 0.5 },
    { kind: 'changed', section: 'models', name: 'one', path: 'price.output', before: 2, after: 3 },
    { kind: 'added', section: 'routes', name: 'other', path: '', after: added },
    { kind: 'removed', section: 'actions', name: 'look', path: '', before: BASE.actions?.look },
  ])
})

test('an entry that has the name of something every object has is an entry like others', () => {
  const route = { models: ['one'] }
  const changes = changesBy(({ routes }) => Object.assign(routes, { constructor: route, toString: route }))
  assert.deepEqual(
    changes.map(({ kind, name }) => [kind, name]),
    [
      ['added', 'constructor'],
      ['added', 'toString'],
    ],
  )
})

test('the order of actions and of required arguments says nothing, that of models does', () => {
  const reordered = changed(({ specialists: { apollo }, actions }) => {
    apollo?.actions?.reverse()
    Object.assign(actions?.add?.parameters ?? {}, { required: ['b', 'a'] })
  })
  assert.ok(diff(BASE, reordered).identical)

  const two = changed(({ routes }) => Object.assign(routes.main ?? {}, { models: ['one', 'two'] }))
  const swapped = changed(({ routes }) => Object.assign(routes.main ?? {}, { models: ['two', 'one'] }))
  assert.deepEqual(diff(two, swapped).changes, [
    {
      ...{ kind: 'changed', section: 'routes', name: 'main', path: 'models' },
      ...{ before: ['one', 'two'], after: ['two', 'one'] },
    },
  ])
})

test('items of a list without order come and go one by one', () => {
  const changes = changesBy(({ specialists: { apollo } }) => Object.assign(apollo ?? {}, { actions: ['new', 'add'] }))
  assert.deepEqual(changes, [
    { kind: 'removed', section: 'specialists', name: 'apollo', path: 'actions.look', before: 'look' },
    { kind: 'added', section: 'specialists', name: 'apollo', path: 'actions.new', after: 'new' },
  ])
})

test('instructions and descriptions are told by words', () => {
  const changes = changesBy((document) => {
    document.description = 'Second'
    Object.assign(document.specialists.apollo ?? {}, { instructions: 'Be brief and very kind.' })
  })
  assert.deepEqual(changes, [
    {
      ...{ kind: 'changed', section: 'description', name: '', path: '' },
      words: [
        { kind: 'removed', text: 'First' },
        { kind: 'added', text: 'Second' },
      ],
    },
    {
      ...{ kind: 'changed', section: 'specialists', name: 'apollo', path: 'instructions' },
      words: [
        { kind: 'same', text: 'Be brief and ' },
        { kind: 'added', text: 'very ' },
        { kind: 'same', text: 'kind.' },
      ],
    },
  ])
})

test('texts of 100,000 characters with nothing in common are told whole; a few words in them are found', () => {
  const long = (word: string) => Array.from({ length: 12_500 }, (_, at) => `${word}${(at * 7919) % 9973}`).join(' ')
  const [a, b] = [long('old').slice(0, 100_000), long('new').slice(0, 100_000)]
  const withText = (text: string) =>
    changed(({ specialists: { apollo } }) => Object.assign(apollo ?? {}, { instructions: text }))
  assert.deepEqual(diff(withText(a), withText(b)).changes, [
    { kind: 'changed', section: 'specialists', name: 'apollo', path: 'instructions', before: a, after: b },
  ])
  const [few] = diff(withText(a), withText(`${a.slice(0, 50_000)} inserted ${a.slice(50_000)}`)).changes
  assert.ok(few?.words && few.words.length < 10)
})

test('many such texts do not add up: what one diff may spend is bounded', () => {
  const text = (word: string) => Array.from({ length: 1500 }, (_, at) => `${word}${at}`).join(' ')
  const filled = (word: string) =>
    changed(({ specialists }) => {
      for (let at = 0; at < 80; at++) {
        specialists[`s${at}`] = { title: 'S', route: 'main', instructions: text(word) }
      }
    })
  const { changes } = diff(filled('old'), filled('new'))
  assert.equal(changes.length, 80)
  assert.equal(changes.filter(({ words }) => words).length, 0)
})

test('a field with more changes than anybody reads is one change', () => {
  const properties = (type: string) => Object.fromEntries(Array.from({ length: 300 }, (_, at) => [`p${at}`, { type }]))
  const withType = (type: string) =>
    changed(({ actions }) => Object.assign(actions?.add?.parameters ?? {}, { properties: properties(type) }))
  const { changes } = diff(withType('string'), withType('number'))
  assert.deepEqual(
    changes.map(({ path }) => path),
    ['parameters'],
  )
})

const arbitraryDocument = fc
  .record({
    description: fc.string({ minLength: 1 }),
    models: fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 3 }),
    instructions: fc.lorem({ maxCount: 30 }),
    actions: fc.uniqueArray(fc.constantFrom('x', 'y', 'z')),
    parameters: fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 4 }),
    entries: fc.uniqueArray(fc.constantFrom('p', 'q', 'constructor'), { minLength: 1 }),
    rollout: fc.option(fc.record({ bakeMs: fc.nat() }), { nil: undefined }),
  })
  .map(({ description, models, instructions, actions, parameters, entries, rollout }): ConfigDocument => {
    const named = <T>(value: T) => Object.fromEntries(entries.map((name) => [name, value]))
    return {
      description,
      models: BASE.models,
      routes: named({ models }),
      specialists: named({ title: 'T', instructions, route: 'p', actions }),
      actions: named({ description, builtin: 'calculate', parameters }),
      ...(rollout && { rollout }),
    }
  })

/** A change as it is seen from the other side; of words, both texts. */
function mirrored({ kind, before, after, words, ...place }: Change): unknown {
  const text = (of: 'added' | 'removed') =>
    words?.flatMap((part) => (part.kind === 'same' || part.kind === of ? [part.text] : [])).join('')
  const turned = { added: 'removed', removed: 'added', changed: 'changed' } as const
  return { ...place, kind: turned[kind], before: after ?? text('added'), after: before ?? text('removed') }
}

function asTexts(change: Change): unknown {
  return mirrored({ ...(mirrored(change) as Change) })
}

const byPlace = (changes: readonly unknown[]) => changes.map((change) => JSON.stringify(change)).toSorted()

test('against itself nothing has changed; from the other side the same has changed the other way', () => {
  fc.assert(
    fc.property(arbitraryDocument, arbitraryDocument, (a, b) => {
      const itself = diff(a, structuredClone(a))
      assert.deepEqual([itself.identical, itself.changes, itself.weakenings], [true, [], []])
      const [there, back] = [diff(a, b), diff(b, a)]
      assert.equal(there.identical, there.changes.length === 0)
      assert.deepEqual(byPlace(there.changes.map(asTexts)), byPlace(back.changes.map(mirrored)))
    }),
    { numRuns: 300 },
  )
})
