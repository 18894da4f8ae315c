import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostRules } from './hosts.ts'

function permitted(list: string[], ...urls: string[]): string[] {
  const permits = hostRules(list)
  return urls.filter((url) => permits(new URL(url)))
}

test('a host without a port is permitted at any, one with a port there only, default ports included', () => {
  const urls = ['http://desk.example/', 'https://desk.example/', 'https://desk.example:8443/a?b']
  assert.deepEqual(permitted(['Desk.Example'], ...urls), urls)
  assert.deepEqual(permitted(['desk.example:443'], ...urls), urls.slice(1, 2))
  assert.deepEqual(permitted(['desk.example:80'], ...urls), urls.slice(0, 1))
  assert.deepEqual(permitted(['desk.example:8443'], ...urls), urls.slice(2))
  assert.deepEqual(permitted([], ...urls), [])
})

test('a suffix permits the names below it, not itself, not what only ends alike, and no address', () => {
  const below = ['https://a.corp.example/', 'https://b.a.corp.example:99/']
  const others = [
    'https://corp.example/',
    'https://evilcorp.example/',
    'https://corp.example.evil/',
    'https://a.corp.example./',
  ]
  assert.deepEqual(permitted(['*.corp.example'], ...below, ...others), below)
  assert.deepEqual(permitted(['*.corp.example:99'], ...below, ...others), below.slice(1))
  assert.throws(() => hostRules(['*.0.0.1']), /not a host/)
})

test('a host is compared as a URL spells it, whatever disguise it wears', () => {
  const disguised = [
    'http://127.1/',
    'http://0x7f000001/',
    'http://2130706433/',
    'http://１２７.0.0.1/',
    'http://[::1]/',
  ]
  assert.deepEqual(permitted(['127.0.0.1'], ...disguised), disguised.slice(0, 4))
  assert.deepEqual(permitted(['::1', 'münchen.example'], ...disguised, 'http://xn--mnchen-3ya.example/'), [
    'http://[::1]/',
    'http://xn--mnchen-3ya.example/',
  ])
  assert.deepEqual(permitted(['[::1]:80'], 'http://[::1]/', 'http://[::1]:81/', 'http://[::ffff:127.0.0.1]/'), [
    'http://[::1]/',
  ])
})

test('other schemes, and credentials in the address, are refused whatever the host', () => {
  const urls = ['ftp://desk.example/', 'file://desk.example/x', 'ws://desk.example/', 'data:,x']
  assert.deepEqual(permitted(['desk.example'], ...urls, 'http://u@desk.example/', 'http://:p@desk.example/'), [])
})

for (const entry of [
  '',
  '*',
  '*.',
  'http://a.example',
  'a.example/x',
  'u@a.example',
  'a:b',
  'a.example:',
  'a b',
  'a:1:2',
  'a*.example',
]) {
  test(`"${entry}" is no host to permit`, () => {
    assert.throws(() => hostRules([entry]), {
      message: `"${entry}" is not a host that can be permitted: give host, host:port or *.suffix.`,
    })
  })
}
