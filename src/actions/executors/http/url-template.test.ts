import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { MAX_URL_LENGTH, parseUrl, renderUrl } from './url-template.ts'

function render(text: string, args: Record<string, unknown>): URL {
  const template = parseUrl(text)
  assert.ok(typeof template !== 'string', String(template))
  return renderUrl(template, args)
}

test('arguments stand in the path and the query, encoded', () => {
  const url = render('https://desk.example:8443/t/{id}/notes-{n}?q={q}&flag=on&r={a}-{b}', {
    id: 'ä b#?',
    n: 5,
    q: 'x=1&y=2+3',
    a: true,
    b: { c: 'd' },
  })
  const query = 'q=x%3D1%26y%3D2%2B3&flag=on&r=true-%7B%22c%22%3A%22d%22%7D'
  assert.equal(url.href, `https://desk.example:8443/t/%C3%A4%20b%23%3F/notes-5?${query}`)
})

test('without placeholders the address stays what it was', () => {
  for (const text of [
    'http://h/',
    'http://h/a/',
    'http://h/a//b?c',
    'https://h/%2Fa?b=%20&&c',
    'http://h/?',
    'http://[::1]:8/x',
  ]) {
    assert.equal(render(text, { a: 'unused' }).href, new URL(text).href.replace(/\?$/, ''))
  }
  assert.equal(render('http://h?a={a}', { a: 1 }).href, 'http://h/?a=1')
})

test('what was left out, or is null, takes its pair of the query with it', () => {
  assert.equal(render('http://h/?a={a}&b={b}&c=x{c}{b}&{d}=1&e', { b: null }).href, 'http://h/?e')
  assert.equal(render('http://h/?a={a}', { a: '' }).href, 'http://h/?a=')
})

test('a list repeats its pair, and stays one value beside other text', () => {
  assert.equal(
    render('http://h/?t={t}&u={t}!', { t: ['a&b', 1, null] }).search,
    '?t=a%26b&t=1&u=%5B%22a%26b%22%2C1%2Cnull%5D!',
  )
  assert.equal(render('http://h/?t={t}', { t: [] }).href, 'http://h/')
})

for (const value of ['', '.', '..', 'a/b', '../x', 'a\\b', '/', undefined, null]) {
  test(`${JSON.stringify(value)} is no segment of a path`, () => {
    assert.throws(() => render('http://h/a/{id}', { id: value }), {
      name: 'CorrectableError',
      message: /^The argument "id" becomes/,
    })
  })
}

test('no two parts of a segment make up what one must not be', () => {
  for (const [text, args] of [
    ['http://h/a/{x}{y}', { x: '.', y: '.' }],
    ['http://h/a/.{x}', { x: '.' }],
    ['http://h/a/%2e{x}/b', { x: '.' }],
    ['http://h/a/{x}%2E', { x: '.' }],
  ] as const) {
    assert.throws(() => render(text, args), { name: 'CorrectableError' })
  }
  assert.equal(render('http://h/a/{x}.txt', { x: '..' }).pathname, '/a/...txt')
  assert.equal(render('http://h/a/{x}', { x: '%2e%2e%2f' }).pathname, '/a/%252e%252e%252f')
})

test('what every object inherits is no argument', () => {
  assert.equal(render('http://h/?a={constructor}&b={__proto__}&c={toString}', {}).href, 'http://h/')
  assert.equal(render('http://h/?b={__proto__}', JSON.parse('{"__proto__":"own"}')).href, 'http://h/?b=own')
})

test('the address is as long as the limit and no longer', () => {
  const start = 'http://h/?q='
  const longest = 'x'.repeat(MAX_URL_LENGTH - start.length)
  assert.equal(render('http://h/?q={q}', { q: longest }).href.length, MAX_URL_LENGTH)
  for (const q of [`${longest}x`, 'x'.repeat(1_048_576)]) {
    assert.throws(() => render('http://h/?q={q}', { q }), { name: 'CorrectableError', message: /8192 characters/ })
  }
})

for (const [text, message] of [
  ['{scheme}://h/', /^must not have placeholders in its scheme/],
  ['https:{rest}', /^must not have placeholders in its scheme/],
  ['{url}', /^must not have placeholders in its scheme/],
  ['https://{host}/', /^must not have placeholders in its scheme/],
  ['https://h{x}.example/', /^must not have placeholders in its scheme/],
  ['https://h:{port}/', /^must not have placeholders in its scheme/],
  ['https://{u}@h/', /^must not have placeholders in its scheme/],
  ['ftp://h/', /^is not an http/],
  ['/t/{id}', /^is not an http/],
  ['https:///x', /^is not an http/],
  ['https://h:99999/', /^is not an http/],
  ['https://u:p@h/', /^must not carry credentials/],
  ['https://h/#{x}', /^must not have a fragment/],
  ['https://h/a/../{x}', /^must not have "\." or/],
  ['https://h/%2E/{x}', /^must not have "\." or/],
  ['https://h/%{x}', /^has a "%"/],
  ['https://h/%2{x}', /^has a "%"/],
  ['https://h/{x', /^has a brace/],
  ['https://h/{}', /^has a brace/],
  ['https://h/?a={{x}}', /^has a brace/],
  ['https://h/?a={x y}', /^must not contain spaces/],
  ['https://h\\@evil/', /^must not contain spaces/],
  ['https://h/\n', /^must not contain spaces/],
] as const) {
  test(`${JSON.stringify(text)} is no template`, () => {
    assert.match(String(parseUrl(text)), message)
  })
}

const strings = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme' }),
  fc.string({
    unit: fc.constantFrom(
      '.',
      '/',
      '\\',
      '%',
      '2',
      'e',
      'f',
      '?',
      '#',
      '&',
      '=',
      '{',
      '}',
      '@',
      ':',
      '\r',
      '\n',
      '\0',
      ' ',
      '+',
      'q',
    ),
  }),
)
/** Halves of characters as well, which no encoding has a form for. */
const anyStrings = fc.oneof(
  strings,
  fc.array(fc.integer({ min: 0xd7f0, max: 0xe010 })).map((units) => String.fromCharCode(...units)),
)

test('whatever the arguments, decoding gives them back, and nothing else of the address moves', (t) => {
  const seed = randomInt(2 ** 31)
  t.diagnostic(`seed ${seed}`)
  const holds = (id: string, q: string) => {
    const fits = id !== '' && id !== '.' && id !== '..' && !/[/\\]/.test(id) && id.isWellFormed() && q.isWellFormed()
    const make = () => render('https://desk.example/t/{id}/end?q={q}&fixed=1', { id, q })
    if (!fits) return assert.throws(make, { name: 'CorrectableError' })
    const url = make()
    const [empty, t, segment = '', end, ...more] = url.pathname.split('/')
    assert.deepEqual(
      [url.origin, empty, t, decodeURIComponent(segment), end, more],
      ['https://desk.example', '', 't', id, 'end', []],
    )
    assert.deepEqual(
      [...url.searchParams],
      [
        ['q', q],
        ['fixed', '1'],
      ],
    )
    assert.equal(url.hash + url.username + url.password, '')
    return undefined
  }
  fc.assert(fc.property(anyStrings, anyStrings, holds), { seed, numRuns: 3000 })
})
