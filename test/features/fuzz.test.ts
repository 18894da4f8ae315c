import assert from 'node:assert/strict'
import { after, before, type TestContext, test } from 'node:test'
import { type FuzzPart, fuzzParts } from '../support/fuzz/fuzz.ts'
import { type Ground, startGround } from '../support/fuzz/ground.ts'

// The same requests each time: `npm run fuzz` is for others.
const seed = Number(process.env.PARLEY_FUZZ_SEED ?? 7)
let ground: Ground

before(async () => {
  ground = await startGround()
})
after(() => ground[Symbol.asyncDispose]())

async function finds(t: TestContext, part: FuzzPart, requests: number): Promise<void> {
  t.diagnostic(`PARLEY_FUZZ_SEED=${seed}`)
  await fuzzParts[part](ground, requests, seed)
  const report = ground.report()
  assert.ok(report.requests >= requests)
  assert.deepEqual(Object.fromEntries(report.faults), {}, `PARLEY_FUZZ_SEED=${seed}`)
}

test('whatever is asked of the documented API, the answer is a documented one, and nobody else learns of it', (t) =>
  finds(t, 'http', 250))

test('whatever is sent to a WebSocket, it is answered or closed as documented, and lets go of', (t) =>
  finds(t, 'websocket', 100))

test('whoever comes back to sign in, with whatever of whom, only who began it has a session, and nobody is led elsewhere', (t) =>
  finds(t, 'sign-in', 100))

test('whatever page asks, only those of the list may read the answer, and none may with what the browser has of us', (t) =>
  finds(t, 'cross-origin', 50))
