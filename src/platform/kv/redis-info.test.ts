import assert from 'node:assert/strict'
import { test } from 'node:test'
import { faultOf, keepsNoLog } from './redis-info.ts'

const info = (...lines: string[]) => ['# Memory', 'used_memory:1', ...lines, ''].join('\r\n')

test('a policy that evicts is a fault, an unknown one is not', () => {
  assert.equal(faultOf(info('maxmemory_policy:noeviction'), false), undefined)
  assert.match(faultOf(info('maxmemory_policy:volatile-lru'), false) ?? '', /volatile-lru/)
  assert.equal(faultOf(info(), false), undefined)
  assert.equal(faultOf('', true), undefined)
})

test('a cluster is used as one, and nothing else is', () => {
  assert.equal(faultOf(info('cluster_enabled:0'), false), undefined)
  assert.equal(faultOf(info('cluster_enabled:1'), true), undefined)
  assert.match(faultOf(info('cluster_enabled:1'), false) ?? '', /is a cluster/)
  assert.match(faultOf(info('cluster_enabled:0'), true) ?? '', /is none/)
})

test('persistence is told from INFO as far as it says', () => {
  assert.equal(keepsNoLog(info('aof_enabled:0')), true)
  assert.equal(keepsNoLog(info('aof_enabled:1')), false)
  assert.equal(keepsNoLog(info()), false)
})
