import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fuzz } from '../support/fuzz/fuzz.ts'

test('whatever is asked of the documented API, the answer is a documented one, and nobody else learns of it', async (t) => {
  // The same requests each time: `npm run fuzz` is for others.
  const seed = Number(process.env.PARLEY_FUZZ_SEED ?? 7)
  t.diagnostic(`PARLEY_FUZZ_SEED=${seed}`)
  const { faults, requests } = await fuzz({ requests: 250, seed })
  assert.equal(requests, 250)
  assert.deepEqual(Object.fromEntries(faults), {}, `PARLEY_FUZZ_SEED=${seed}`)
})
