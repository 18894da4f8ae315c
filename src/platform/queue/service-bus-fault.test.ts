import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ParleyError } from '#errors.ts'
import { LockLostError } from './queue.ts'
import { isDoubtful, isNotFound, queueFault } from './service-bus-fault.ts'

const of = (code: string) => Object.assign(new Error('as the broker says'), { code })

test('a lock that was lost is told as such, however it is told', () => {
  const settled = new Error('The message is either already settled or expired.')
  for (const error of [of('MessageLockLost'), of('SessionLockLost'), of('MessageNotFound'), settled]) {
    assert.ok(queueFault(error) instanceof LockLostError)
    assert.ok(queueFault(new AggregateError([of('ServiceTimeout'), error])) instanceof LockLostError)
    assert.equal(isDoubtful(error), false)
  }
  assert.ok(isNotFound(of('MessageNotFound')) && !isNotFound(of('MessageLockLost')))
})

test('everything else is out of reach; whether the broker is there stays in doubt unless it said no', () => {
  const silent = [of('ServiceTimeout'), of('UnauthorizedAccess'), of('GeneralError'), new Error('socket'), 'a string']
  for (const error of silent) {
    const fault = queueFault(error)
    assert.ok(fault instanceof ParleyError)
    assert.deepEqual([fault.code, fault.cause], ['queue_unavailable', error])
    assert.equal(isDoubtful(error), true)
  }
  for (const code of ['ServiceBusy', 'QuotaExceeded']) {
    assert.equal(queueFault(of(code)) instanceof ParleyError, true)
    assert.equal(isDoubtful(of(code)), false)
  }
})

test('errors of ours stay what they are', () => {
  for (const error of [new ParleyError('queue_unavailable'), new LockLostError(), new RangeError('too long')]) {
    assert.equal(queueFault(error), error)
  }
})
