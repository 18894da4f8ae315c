import assert from 'node:assert/strict'
import { test } from 'node:test'
import { capturedLog } from '../../../test/support/captured-log.ts'
import { manualClock } from '../../../test/support/clock.ts'
import { Reach } from './reach.ts'

function setUp({ reachable = true, isThere = true } = {}) {
  const clock = manualClock()
  const { log, lines } = capturedLog()
  const state = { isThere, probes: 0, lost: 0 }
  const reach = new Reach({
    ...{ reachable, retryMs: 800, clock, log },
    probe: async () => {
      state.probes += 1
      if (!state.isThere) throw new Error('nobody there')
    },
    onLost: () => {
      state.lost += 1
    },
  })
  const pass = async (ms: number) => {
    clock.advance(ms)
    await new Promise((resolve) => setImmediate(resolve))
  }
  return { reach, state, clock, lines, pass }
}

test('what is lost is looked for at once, then less and less often, until it is found', async () => {
  const { reach, state, clock, lines, pass } = setUp({ isThere: false })
  reach.lost(new Error('refused'))
  reach.lost(new Error('refused'))
  assert.equal(reach.reachable, false)
  await pass(0)
  assert.equal(state.probes, 1)
  await pass(99)
  assert.equal(state.probes, 1)
  await pass(101)
  assert.equal(state.probes, 2)
  for (const atMost of [400, 800, 800, 800]) {
    const before: number = state.probes
    await pass(atMost / 2 - 1)
    assert.equal(state.probes, before)
    await pass(atMost / 2 + 1)
    assert.equal(state.probes, before + 1)
  }
  state.isThere = true
  await pass(800)
  assert.equal(reach.reachable, true)
  assert.equal(clock.pending, 0)
  assert.deepEqual(
    lines.map(({ level, msg }) => [level, msg]),
    [
      [40, 'The database is out of reach'],
      [30, 'The database is within reach'],
    ],
  )
})

test('a suspicion costs one look, and counts only if nobody is there', async () => {
  const { reach, state, pass } = setUp()
  reach.suspect()
  reach.suspect()
  assert.equal(reach.reachable, true)
  await pass(0)
  assert.deepEqual([reach.reachable, state.probes, state.lost], [true, 1, 0])
  state.isThere = false
  reach.suspect()
  await pass(0)
  assert.deepEqual([reach.reachable, state.probes, state.lost], [false, 2, 1])
  reach.close()
})

test('nothing is looked for once it is closed, or given up', async () => {
  for (const end of ['close', 'giveUp'] as const) {
    const { reach, state, clock, pass } = setUp({ isThere: false })
    reach.lost(new Error('refused'))
    reach[end](new Error('the end'))
    reach.lost(new Error('refused'))
    await pass(1000)
    assert.deepEqual([state.probes, clock.pending, reach.reachable], [0, 0, false])
  }
})
