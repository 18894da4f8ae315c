import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { ParleyError } from '#errors.ts'
import { capturedLog } from '../../../test/support/captured-log.ts'
import { manualClock } from '../../../test/support/clock.ts'
import { LiveSecrets } from './live-secrets.ts'

const DAY = 86_400_000
const away = (retryAfterMs?: number) => {
  const wait = retryAfterMs === undefined ? {} : { retryAfterMs }
  return new ParleyError('secrets_unavailable', { message: 'It is away.', ...wait })
}
const wrong = (message: string) => new ParleyError('environment_invalid', { message })
const never = new AbortController().signal

/** What the store says of each name, and how often it was asked. */
function scripted(said: Record<string, string | Error | undefined>) {
  const clock = manualClock()
  const { log, lines } = capturedLog()
  const asked: string[] = []
  const secrets = new LiveSecrets({
    store: {
      engine: 'key-vault',
      read: async (variable, signal) => {
        signal.throwIfAborted()
        asked.push(variable)
        const value = said[variable]
        if (value instanceof Error) throw value
        return value
      },
    },
    ...{ variables: { GIVEN: 'given' }, clock, refreshMs: DAY },
    unfit: (variable, before, after) =>
      after[variable] === 'unfit'
        ? `It does not go with ${before[variable] ? 'the one before' : 'nothing'}.`
        : undefined,
  })
  /** Lets `ms` pass, and what falls due be done. */
  const pass = async (ms: number) => {
    clock.advance(ms)
    for (let turns = 0; turns < 5; turns++) await setImmediate()
  }
  return { secrets, clock, log, lines, asked, said, pass }
}

async function started(said: Record<string, string | Error | undefined>) {
  const world = scripted(said)
  await world.secrets.open(Object.keys(said), never)
  return { ...world, stop: world.secrets.keepFresh(world.log) }
}

test('what is left out is read beside what is given; what is not there stays away', async () => {
  const { secrets } = scripted({ A: 'a-1', B: undefined })
  await secrets.open(['A', 'B'], never)
  assert.deepEqual({ ...secrets.variables }, { GIVEN: 'given', A: 'a-1' })
  assert.equal(secrets.reachable, true)
})

test('a store that is away at the start is asked again, as late as it wishes, for half a minute', async () => {
  const { secrets, pass, asked, said } = scripted({ A: away() })
  const opening = secrets.open(['A'], never)
  await pass(0)
  await pass(500)
  assert.equal(asked.length, 2)
  said.A = away(7000)
  await pass(1000)
  assert.equal(asked.length, 3)
  await pass(6999)
  assert.equal(asked.length, 3)
  said.A = 'a-1'
  await pass(1)
  await opening
  assert.equal(secrets.variables.A, 'a-1')

  const hopeless = scripted({ A: away(), B: away() })
  const refused = assert.rejects(hopeless.secrets.open(['A', 'B'], never), {
    code: 'secrets_unavailable',
    message: 'It is away.',
  })
  for (let second = 0; second < 30; second++) await hopeless.pass(1000)
  await refused
  assert.equal(hopeless.clock.pending, 0)
})

test('a wait longer than the patience is not begun, and whoever stops the process is not kept waiting', async () => {
  const patient = scripted({ A: away(30_000) })
  await assert.rejects(patient.secrets.open(['A'], never), { code: 'secrets_unavailable' })
  assert.equal(patient.asked.length, 1)
  const stopped = scripted({ A: away() })
  const stopping = new AbortController()
  const opening = stopped.secrets.open(['A'], stopping.signal)
  await stopped.pass(0)
  stopping.abort(new ParleyError('shutting_down'))
  await assert.rejects(opening, { code: 'shutting_down' })
})

test('all that waiting does not mend is told together, and at once', async () => {
  const { secrets, asked } = scripted({ A: wrong('A is disabled.'), B: wrong('B has expired.'), C: away(5000) })
  await assert.rejects(secrets.open(['A', 'B', 'C'], never), {
    code: 'environment_invalid',
    message: 'A is disabled. B has expired.',
  })
  assert.deepEqual(asked, ['A', 'B', 'C'])
})

test('daily, what has changed is taken and told, and what was not there is not looked for', async () => {
  const { secrets, said, pass, asked, lines, stop } = await started({ A: 'a-1', B: 'b-1', C: undefined })
  let heard = 0
  const stopHearing = secrets.onChange(() => heard++)
  said.A = 'a-2'
  said.C = 'c-1'
  await pass(DAY)
  assert.deepEqual([secrets.variables.A, secrets.variables.B, secrets.variables.C], ['a-2', 'b-1', undefined])
  assert.deepEqual(asked, ['A', 'B', 'C', 'A', 'B'])
  assert.equal(heard, 1)
  await pass(DAY)
  assert.equal(heard, 1)
  stopHearing()
  said.A = 'a-3'
  await pass(DAY)
  assert.equal(secrets.variables.A, 'a-3')
  assert.equal(heard, 1)
  assert.deepEqual(
    lines.map(({ msg, variables }) => [msg, variables]),
    [
      ['Secrets were rotated', ['A']],
      ['Secrets were rotated', ['A']],
    ],
  )
  await stop()
})

test('what is gone, unusable or does not fit keeps its last value, each for itself', async () => {
  const { secrets, said, pass, lines, stop } = await started({ A: 'a-1', B: 'b-1', C: 'c-1', D: 'd-1' })
  said.A = undefined
  said.B = wrong('B has expired.')
  said.C = 'unfit'
  said.D = 'd-2'
  await pass(DAY)
  assert.deepEqual({ ...secrets.variables }, { GIVEN: 'given', A: 'a-1', B: 'b-1', C: 'c-1', D: 'd-2' })
  assert.equal(secrets.reachable, true)
  assert.deepEqual(
    lines.filter(({ level }) => level === 40).map(({ variable, fault }) => [variable, fault]),
    [
      ['A', 'It is not in the vault any more.'],
      ['B', 'B has expired.'],
      ['C', 'It does not go with the one before.'],
    ],
  )
  await stop()
})

test('a store that is away later is said to be, once, and asked every minute until it is back', async () => {
  const { secrets, said, pass, asked, lines, stop } = await started({ A: 'a-1' })
  said.A = away()
  await pass(DAY)
  assert.equal(secrets.reachable, false)
  assert.equal(secrets.variables.A, 'a-1')
  const before = asked.length
  await pass(60_000)
  await pass(60_000)
  assert.equal(asked.length, before + 2)
  said.A = 'a-2'
  await pass(60_000)
  assert.deepEqual([secrets.reachable, secrets.variables.A], [true, 'a-2'])
  assert.deepEqual(
    lines.map(({ msg }) => msg),
    [
      'The vault of secrets is out of reach; the last values hold',
      'The vault of secrets is within reach',
      'Secrets were rotated',
    ],
  )
  await stop()
})

test('a doubt has it asked at once, and more of them once a minute', async () => {
  const { secrets, said, pass, asked, stop } = await started({ A: 'a-1' })
  await pass(60_000)
  said.A = 'a-2'
  for (let doubts = 0; doubts < 100; doubts++) secrets.doubt()
  await pass(0)
  assert.deepEqual([asked.length, secrets.variables.A], [2, 'a-2'])
  for (let doubts = 0; doubts < 100; doubts++) secrets.doubt()
  await pass(59_999)
  assert.equal(asked.length, 2)
  await pass(1)
  assert.equal(asked.length, 3)
  await pass(DAY / 2)
  assert.equal(asked.length, 3)
  await stop()
})

test('once it is stopped nothing is asked, and nothing is left behind', async () => {
  const { secrets, clock, pass, asked, stop } = await started({ A: 'a-1' })
  await stop()
  secrets.doubt()
  await pass(2 * DAY)
  assert.deepEqual([asked.length, clock.pending], [1, 0])
})

test('where nothing was found nothing is kept fresh', async () => {
  const { secrets, clock, pass, asked, stop } = await started({ A: undefined })
  secrets.doubt()
  await pass(2 * DAY)
  assert.deepEqual([asked.length, clock.pending], [1, 0])
  await stop()
})
