import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Credential } from './credential.ts'
import { Watch } from './watch.ts'

const digest = Buffer.alloc(32)
const row = { id: 'key_1', revokedAt: null, expiresAt: 1_000_000 } as Credential['row']
const credential: Credential = { row, digest, until: 1_000_000, identified: { principal: {} as never } }

/** A process whose time passes as the test says, also without it getting to do anything. */
function process() {
  let now = 0
  let due: (() => void) | undefined
  const store = { heardAt: 0, isAway: false, known: credential as Credential | undefined, refreshed: 0 }
  const watch = new Watch({
    withdrawals: {
      get: () => undefined,
      set: async () => {},
      onChange: () => () => {},
      look: async () => {},
      get isAway() {
        return store.isAway
      },
      get silentMs() {
        return now - store.heardAt
      },
    },
    latest: () => store.known,
    refresh: async () => {
      store.refreshed += 1
    },
    clock: {
      now: () => now,
      monotonic: () => now,
      after: (_, run) => {
        due = run
        return () => {
          due = undefined
        }
      },
    },
  })
  return {
    watch,
    store,
    get isWatching() {
      return due !== undefined
    },
    look(afterMs: number) {
      now += afterMs
      const run = due
      due = undefined
      run?.()
    },
  }
}

test('who was held up itself takes the store for silent at the next look, not at once', () => {
  const { watch, look } = process()
  let ended = 0
  watch.add(credential, () => {
    ended += 1
  })
  look(6000)
  assert.equal(ended, 0)
  look(250)
  assert.equal(ended, 1)
})

test('a store that is heard again after that ends nothing', () => {
  const { watch, look, store } = process()
  watch.add(credential, () => assert.fail('it is good'))
  look(5000)
  store.heardAt = 5000
  look(250)
  assert.equal(store.refreshed, 2)
})

test('a store that is out of reach is waited for a second, one that is slow five', () => {
  const { watch, look, store } = process()
  let ended = 0
  const end = () => {
    ended += 1
  }
  watch.add(credential, end)
  for (let time = 0; time < 20; time++) look(250)
  assert.equal(ended, 0)
  store.isAway = true
  store.heardAt = 4250
  look(0)
  assert.equal(ended, 0)
  look(250)
  assert.equal(ended, 0)
  look(1)
  assert.equal(ended, 1)
  store.isAway = false
  store.heardAt = 0
  watch.add(credential, end)
  look(250)
  assert.equal(ended, 2)
})

test('a text that the key knows no more has ended, and where nobody listens nobody looks', () => {
  const running = process()
  let ended = 0
  const stop = running.watch.add(credential, () => assert.fail('it hears no more'))
  running.watch.add(credential, () => {
    ended += 1
  })
  stop()
  running.store.known = undefined
  running.look(250)
  assert.equal(ended, 1)
  assert.equal(running.isWatching, false)
  running.watch.add(credential, () => {})
  assert.equal(running.isWatching, true)
  running.watch.close()
  assert.equal(running.isWatching, false)
})
