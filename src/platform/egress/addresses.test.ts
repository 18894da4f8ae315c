import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addressRules, isLoopback } from './addresses.ts'

/** The edges of each range that is not public, inside and outside. */
const FORBIDDEN = {
  'this network': ['0.0.0.0', '0.255.255.255'],
  private: ['10.0.0.0', '10.255.255.255', '172.16.0.0', '172.31.255.255', '192.168.0.0', '192.168.255.255'],
  'carrier-grade NAT, with a metadata service': ['100.64.0.0', '100.100.100.200', '100.127.255.255'],
  loopback: ['127.0.0.1', '127.255.255.255', '::1'],
  'link-local, with the metadata service': [
    '169.254.0.0',
    '169.254.169.254',
    '169.254.255.255',
    'fe80::1',
    'febf::1',
    'fe80::1%eth0',
  ],
  "the cloud's own service": ['168.63.129.16'],
  'protocol assignments': ['192.0.0.0', '192.0.0.192', '2001::1', '2001:1ff:ffff::1'],
  documentation: ['192.0.2.1', '198.51.100.1', '203.0.113.1', '2001:db8::1', '3fff:fff::1'],
  benchmarks: ['198.18.0.0', '198.19.255.255'],
  'multicast, reserved, broadcast': ['224.0.0.0', '239.255.255.255', '240.0.0.0', '255.255.255.255', 'ff02::1'],
  'unique local, with a metadata service': ['fc00::1', 'fdff::1', 'fd00:ec2::254'],
  'IPv4 inside IPv6': [
    '::ffff:8.8.8.8',
    '::ffff:127.0.0.1',
    '::ffff:a00:1',
    '64:ff9b::8.8.8.8',
    '64:ff9b:1::1',
    '2002:7f00:1::',
    '::7f00:1',
  ],
  'nothing at all': ['::', '', 'desk.example', '127.1', '8.8.8.8 ', '4000::1'],
}
const PUBLIC = [
  ...['1.0.0.0', '9.255.255.255', '11.0.0.0', '100.63.255.255', '100.128.0.0', '126.255.255.255', '128.0.0.0'],
  ...[
    '168.63.129.15',
    '168.63.129.17',
    '169.253.255.255',
    '169.255.0.0',
    '172.15.255.255',
    '172.32.0.0',
    '192.167.255.255',
  ],
  ...['192.169.0.0', '198.17.255.255', '198.20.0.0', '223.255.255.255', '2001:200::1', '2606:4700::1111', '3ffe::1'],
]

for (const [kind, addresses] of Object.entries(FORBIDDEN)) {
  test(`without leave, no address is connected to that is ${kind}`, () => {
    assert.deepEqual(addresses.filter(addressRules([])), [])
  })
}

test('public addresses need no leave, up to the edges', () => {
  assert.deepEqual(PUBLIC.filter(addressRules([])), PUBLIC)
})

test('a range that is permitted is, to its edges, and no other with it', () => {
  const permits = addressRules(['10.1.0.0/16', 'fd00:1::/32', '192.168.7.7', '::1'])
  const inside = ['10.1.0.0', '10.1.255.255', '::ffff:10.1.2.3', 'fd00:1::1', '192.168.7.7', '::1']
  const outside = ['10.0.255.255', '10.2.0.0', '::ffff:10.2.0.0', 'fd00:2::1', '192.168.7.8', '::2', '127.0.0.1']
  assert.deepEqual([...inside, ...outside].filter(permits), inside)
})

test('loopback is what leads back to this machine', () => {
  const addresses = ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1', '128.0.0.1', '10.0.0.1', '::2']
  assert.deepEqual(addresses.filter(isLoopback), ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1'])
})

for (const range of [
  '',
  '10.0.0.0/33',
  '10.0.0.0/-1',
  '10.0.0.0/',
  '10.0.0.0/8.5',
  'fd00::/129',
  '10.0.0/8',
  'desk.example/8',
  '/8',
  'all',
]) {
  test(`"${range}" is no range`, () => {
    assert.throws(() => addressRules([range]), {
      message: `"${range}" is not a range of addresses: give it as 10.1.0.0/16 or fd00::/8.`,
    })
  })
}
