import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { after, before, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { manualClock } from '../../test/support/clock.ts'
import { systemClock, waitAtMost, waitPatiently } from './clock.ts'

const server = createServer()
let here: Socket
let there: Socket

before(async () => {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const accepted = once(server, 'connection')
  here = connect((server.address() as AddressInfo).port, '127.0.0.1')
  ;[there] = await accepted
})

after(() => {
  here.destroy()
  there.destroy()
  server.close()
})

function holdUp(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

test('a process that was held up hears what came meanwhile before it takes it that nothing did', async () => {
  const heard: string[] = []
  const late = new Promise<void>((resolve) => {
    waitAtMost(systemClock, 10, () => {
      heard.push('too late')
      resolve()
    })
  })
  here.once('data', () => heard.push('answer'))
  there.write('x')
  holdUp(200)
  await late
  assert.deepEqual(heard, ['answer', 'too late'])
})

test('and whoever has heard it calls the limit off', async () => {
  const heard: string[] = []
  const cancel = waitAtMost(systemClock, 10, () => heard.push('too late'))
  here.once('data', cancel)
  there.write('x')
  holdUp(200)
  await new Promise((resolve) => setTimeout(resolve, 200))
  assert.deepEqual(heard, [])
})

test('patience ends with the work, with its time and with the signal, and hears what the work rejects with', async () => {
  const clock = manualClock()
  const stopping = new AbortController()
  const never = new Promise(() => {})
  const isOver = async (wait: Promise<void>) => Promise.race([wait.then(() => true), setImmediate(false)])

  await waitPatiently(clock, Promise.resolve(), 1000, undefined)
  await assert.rejects(waitPatiently(clock, Promise.reject(new Error('broken')), 1000, undefined), /broken/)
  const timed = waitPatiently(clock, never, 1000, stopping.signal)
  clock.advance(999)
  assert.equal(await isOver(timed), false)
  clock.advance(1)
  assert.equal(await isOver(timed), true)
  const called = waitPatiently(clock, never, 1000, stopping.signal)
  assert.equal(await isOver(called), false)
  stopping.abort()
  assert.equal(await isOver(called), true)
  await waitPatiently(clock, never, 1000, stopping.signal)
  assert.equal(clock.pending, 0)
})
