import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Check, loadVersion } from './load.ts'
import { MAX_CONFIG_BYTES } from './source.ts'

const SOUND = `description: A sound one
models:
  main: { provider: offline, contextWindow: 1000, continuation: restart, price: { input: 0, output: 0 } }
routes:
  default:
    models: [main]
specialists:
  apollo:
    title: Apollo
    instructions: Help.
    route: default
    actions: [look]
actions:
  look: { description: Looks, builtin: look, parameters: { type: object } }
`

function load(text: string | Uint8Array, checks: Check[] = [], format: 'yaml' | 'json' = 'yaml') {
  return loadVersion('v1', typeof text === 'string' ? Buffer.from(text) : text, format, checks)
}

function faultsOf(...given: Parameters<typeof load>): string[] {
  const loaded = load(...given)
  assert.ok('faults' in loaded, 'it should have been refused')
  return loaded.faults.map(({ line, column, path, message }) => `${line}:${column} ${path}: ${message}`)
}

/** The faults of the sound document after one replacement. */
function faultsWith(from: string, to: string): string[] {
  assert.ok(SOUND.includes(from), `the document does not contain ${from}`)
  return faultsOf(SOUND.replace(from, to))
}

function soundDocument(text: string | Uint8Array, format: 'yaml' | 'json' = 'yaml') {
  const loaded = load(text, [], format)
  if ('faults' in loaded) assert.fail(JSON.stringify(loaded.faults))
  return loaded.version.document
}

test('a sound document becomes a version with its name and the hash of its bytes', () => {
  const loaded = load(SOUND)
  if ('faults' in loaded) return assert.fail(JSON.stringify(loaded.faults))
  assert.equal(loaded.version.name, 'v1')
  assert.match(loaded.version.hash, /^[0-9a-f]{64}$/)
  assert.equal(loaded.version.document.specialists.apollo?.instructions, 'Help.')
})

test('the same content as JSON is the same document', () => {
  const document = soundDocument(SOUND)
  assert.deepEqual(soundDocument(JSON.stringify(document), 'json'), document)
})

test('a byte order mark does no harm', () => {
  assert.equal(soundDocument(`\uFEFF${SOUND}`).description, 'A sound one')
})

test('a version cannot be changed, and its sections know only their own names', () => {
  const document = soundDocument(SOUND)
  assert.throws(() => Object.assign(document.routes, { other: {} }), TypeError)
  assert.throws(() => document.routes.default?.models.push('other'), TypeError)
  assert.equal(document.specialists.constructor, undefined)
  assert.deepEqual(
    soundDocument(SOUND.replace(/actions:\n.*\n$/, '').replace('[look]', '[]')).actions,
    Object.create(null),
  )
})

test('aliases are copied out', () => {
  const text = SOUND.replace('Apollo', '&name Apollo').replace('Help.', '*name')
  assert.equal(soundDocument(text).specialists.apollo?.instructions, 'Apollo')
})

const shapes: [string, string, string, string[]][] = [
  ['a missing property stands at its parent', '    title: Apollo\n', '', ['8:3 specialists.apollo.title: is missing']],
  [
    'a missing section stands at the top',
    'routes:\n  default:\n    models: [main]\n',
    '',
    ['1:1 routes: is missing', '8:5 specialists.apollo.route: no route "default"; there are no routes'],
  ],
  [
    'an unknown property',
    '    title: Apollo\n',
    '    title: Apollo\n    tilte: x\n',
    [
      '10:5 specialists.apollo.tilte: is not known here; known are: title, description, instructions, route, actions, capabilities',
    ],
  ],
  ['a wrong type', 'title: Apollo', 'title: 5', ['9:5 specialists.apollo.title: must be a string']],
  ['nothing where something belongs', 'title: Apollo', 'title:', ['9:5 specialists.apollo.title: must be a string']],
  ['an empty text', 'title: Apollo', "title: ''", ['9:5 specialists.apollo.title: must not be empty']],
  [
    'a text one too long',
    'title: Apollo',
    `title: ${'x'.repeat(201)}`,
    ['9:5 specialists.apollo.title: must not have more than 200 characters'],
  ],
  [
    'a number out of bounds',
    'contextWindow: 1000',
    'contextWindow: 255',
    ['3:30 models.main.contextWindow: must be >= 256'],
  ],
  [
    'a fraction where a whole number belongs',
    'contextWindow: 1000',
    'contextWindow: 1000.5',
    ['3:30 models.main.contextWindow: must be a whole number'],
  ],
  [
    'a word that is none of the choices',
    'continuation: restart',
    'continuation: maybe',
    ['3:51 models.main.continuation: must be one of "prefill", "instructed", "restart"'],
  ],
  [
    'not an address',
    'provider: offline',
    'provider: offline, baseUrl: "no address"',
    ['3:30 models.main.baseUrl: is not a valid uri'],
  ],
  [
    'a name that providers refuse',
    '  look:',
    '  1look:',
    [
      '12:15 specialists.apollo.actions.0: no action "look"; actions are: 1look',
      '14:3 actions.1look: is not a name that can be used here (^[a-zA-Z][a-zA-Z0-9_-]{0,63}$)',
    ],
  ],
  [
    'a section of the wrong kind',
    'models:\n  main:',
    'models:\n  -',
    ['2:1 models: must be an object', '6:14 routes.default.models.0: no model "main"; there are no models'],
  ],
  [
    'a route to no model',
    '[main]',
    '[main, mian]',
    ['6:20 routes.default.models.1: no model "mian"; models are: main'],
  ],
  ['a model twice in a route', '[main]', '[main, main]', ['6:20 routes.default.models.1: is there twice']],
  ['a route without a model', '[main]', '[]', ['6:5 routes.default.models: must not be empty']],
  [
    'no such route',
    'route: default',
    'route: defualt',
    ['11:5 specialists.apollo.route: no route "defualt"; routes are: default'],
  ],
  [
    'a name that every object has',
    'route: default',
    'route: constructor',
    ['11:5 specialists.apollo.route: no route "constructor"; routes are: default'],
  ],
  ['no such action', '[look]', '[loko]', ['12:15 specialists.apollo.actions.0: no action "loko"; actions are: look']],
]

for (const [name, from, to, expected] of shapes) {
  test(`refused with its place: ${name}`, () => assert.deepEqual(faultsWith(from, to), expected))
}

test('a route and a specialist cannot share a name', () => {
  assert.deepEqual(faultsOf(SOUND.replaceAll('apollo:', 'default:')), [
    '5:3 routes.default: is a specialist too; callers name either by this one name, so they have to differ',
  ])
})

test('a name of 64 characters is taken, one of 65 is not', () => {
  const named = (length: number) => SOUND.replaceAll('look', 'l'.repeat(length)).replace(/builtin: l+/, 'builtin: look')
  assert.equal(Object.keys(soundDocument(named(64)).actions ?? {})[0]?.length, 64)
  assert.match(faultsOf(named(65)).join(), /is not a name that can be used here/)
})

const texts: [string, string | Uint8Array, string[]][] = [
  ['nothing', '', ['1:1 : is empty']],
  ['comments only', '# nothing\n', ['1:1 : is empty']],
  ['a text', 'hello', ['1:1 : must be an object']],
  ['a second document', `${SOUND}---\nmore: 1\n`, ['15:1 : holds more than one document']],
  ['an open quote', 'description: "x\n', ['2:1 : is not valid YAML: Missing closing "quote']],
  ['a tab', 'models:\n\tmain: 1\n', ['2:1 : is not valid YAML: Tabs are not allowed as indentation']],
  ['a tag', SOUND.replace('Apollo', '!secret Apollo'), ['9:12 : is not valid YAML: Unresolved tag: !secret']],
  [
    'a tag of YAML that JSON has no word for',
    SOUND.replace('Help.', '!!binary aGk='),
    ['10:19 : is not valid YAML: Unresolved tag: tag:yaml.org,2002:binary'],
  ],
  [
    'a key that is no text',
    `${SOUND}? [a]\n: 1\n`,
    ['15:3 : is not valid YAML: With stringKeys, all keys must be strings'],
  ],
  ['a control character', SOUND.replace('Help.', 'He\u0000lp.'), ['10:21 : contains a control character']],
  [
    'a control character that is written as an escape',
    SOUND.replace('title: Apollo', 'title: "A\\e[2Jo"'),
    ['9:12 specialists.apollo.title: contains a control character'],
  ],
  ['bytes that are no UTF-8', Uint8Array.of(0x61, 0x3a, 0x20, 0xff), ['1:1 : is not UTF-8 text']],
  ['UTF-16', Buffer.from(SOUND, 'utf16le'), ['1:2 : contains a control character']],
  ['a picture', Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a), ['1:1 : is not UTF-8 text']],
  [
    'a key twice',
    SOUND.replace('    title: Apollo\n', '    title: Apollo\n    title: Athena\n'),
    ['10:5 specialists.apollo.title: is there twice'],
  ],
  ['a section twice', `${SOUND}routes: {}\n`, ['15:1 routes: is there twice']],
  [
    'the name of all prototypes',
    SOUND.replace('    title: Apollo\n', '    title: Apollo\n    __proto__: {}\n'),
    ['10:5 specialists.apollo.__proto__: is not a name that can be used here'],
  ],
  ['a number that is none', SOUND.replace('1000', '.inf'), ['3:45 models.main.contextWindow: must be a finite number']],
  [
    'an alias to nowhere',
    SOUND.replace('Help.', '*help'),
    ['10:19 specialists.apollo.instructions: there is no anchor &help before this alias'],
  ],
  [
    'an alias into itself',
    SOUND.replace('{ type: object }', '&p { type: object, properties: *p }'),
    ['14:89 actions.look.parameters.properties: the alias *p stands inside its own anchor'],
  ],
  ['a document deeper than the parser goes', '['.repeat(5000), ['1:N : is nested too deeply']],
]

for (const [name, text, expected] of texts) {
  test(`refused: ${name}`, () => {
    const faults = faultsOf(text).map((fault) => fault.replace(/^1:\d{3,} /, '1:N '))
    assert.deepEqual(faults, expected)
  })
}

test('values are nested up to 64 levels deep, not 65', () => {
  // `parameters` itself stands on level 3.
  const nested = (levels: number) =>
    SOUND.replace('{ type: object }', `${'{ x: '.repeat(levels)}1${' }'.repeat(levels)}`)
  assert.equal(Object.keys(soundDocument(nested(62)).actions ?? {}).length, 1)
  assert.deepEqual(faultsOf(nested(63)), ['14:368 actions.look.parameters: is nested deeper than 64 levels'])
})

test('aliases cannot blow a document up', () => {
  const levels = Array.from({ length: 9 }, (_, level) => {
    const items =
      level === 0
        ? 'x,x,x,x,x,x,x,x,x,x'
        : Array(10)
            .fill(`*a${level - 1}`)
            .join(', ')
    return `a${level}: &a${level} [${items}]`
  })
  const started = process.cpuUsage()
  assert.deepEqual(faultsOf(levels.join('\n')), ['1:1 : holds more than 200000 values, aliases copied out'])
  assert.ok(process.cpuUsage(started).user < 2_000_000)
})

test('aliases cannot blow the text of a document up', () => {
  const long = (aliases: number) =>
    `long: &long ${'x'.repeat(100_000)}\nall: [${Array(aliases).fill('*long').join(', ')}]\n`
  assert.deepEqual(faultsOf(long(50)), ['1:1 : grows too large by its aliases'])
  assert.ok(!faultsOf(long(30)).join().includes('too large'))
})

test('a document holds up to 200,000 values', () => {
  const list = (items: number) => `description: [${'0,'.repeat(items)}]`
  // With the document itself and the list.
  assert.deepEqual(faultsOf(list(199_999)), ['1:1 : holds more than 200000 values, aliases copied out'])
  assert.ok(!faultsOf(list(199_998)).join().includes('values'))
})

test('a file of 1 MiB is read, one byte more is not', () => {
  const filled = (bytes: number) => SOUND + '#'.repeat(bytes - Buffer.byteLength(SOUND))
  assert.equal(soundDocument(filled(MAX_CONFIG_BYTES)).description, 'A sound one')
  assert.deepEqual(faultsOf(filled(MAX_CONFIG_BYTES + 1)), ['1:1 : is larger than 1048576 bytes'])
})

test('YAML in a file that says JSON is refused', () => {
  assert.deepEqual(faultsOf(SOUND, [], 'json'), ['1:1 : is not JSON, though its name says so'])
})

test('a file cannot choose an older YAML, in which "no" is not a text', () => {
  const document = soundDocument(`%YAML 1.1\n---\n${SOUND.replace('title: Apollo', 'title: no')}`)
  assert.equal(document.specialists.apollo?.title, 'no')
})

test('faults of every kind are named at once, in the order of the file', () => {
  const checks: Check[] = [
    ({ actions = {} }) => Object.keys(actions).map((name) => ({ path: ['actions', name, 'builtin'], message: 'no' })),
    () => [{ path: ['description'], message: 'too dull' }],
  ]
  const text = SOUND.replace('route: default', 'route: defualt').replace('title: Apollo', 'title: 5\n    title: 6')
  assert.deepEqual(faultsOf(text, checks), [
    '1:1 description: too dull',
    '9:5 specialists.apollo.title: must be a string',
    '10:5 specialists.apollo.title: is there twice',
    '12:5 specialists.apollo.route: no route "defualt"; routes are: default',
    '15:31 actions.look.builtin: no',
  ])
})

test('checks see only entries that are sound in themselves and in what they refer to', () => {
  const seen: string[] = []
  const check: Check = ({ models, routes, specialists, actions = {} }) => {
    for (const section of [models, routes, specialists, actions]) seen.push(Object.keys(section).join())
    return []
  }
  load(SOUND.replace('continuation: restart', 'continuation: maybe'), [check])
  assert.deepEqual(seen, ['', '', '', 'look'])
})

test('a fault in what an alias stands for is shown where it is written', () => {
  const first = '  first: { description: Looks, builtin: look, parameters: &p { type: object, x: 1 } }'
  const text = SOUND.replace('  look:', `${first}\n  look:`).replace('parameters: { type: object }', 'parameters: *p')
  const check: Check = () => [{ path: ['actions', 'look', 'parameters', 'x'], message: 'is wrong' }]
  assert.deepEqual(faultsOf(text, [check]), ['14:78 actions.look.parameters.x: is wrong'])
})

test('a flood of faults is cut at 100, with the number of the rest', () => {
  const bad = Array.from({ length: 102 }, (_, index) => `  ${index}x: 1`).join('\n')
  const faults = faultsOf(SOUND.replace('routes:', `${bad}\nroutes:`))
  assert.equal(faults.length, 101)
  assert.equal(faults.at(-1), '1:1 : has 3 more faults')
})
