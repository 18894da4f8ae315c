import assert from 'node:assert/strict'
import { test } from 'node:test'
import { manualClock } from '../../../../test/support/clock.ts'
import { executorContext } from '../../../../test/support/executor-context.ts'
import { currentTime } from './current-time.ts'

function timeAt(iso: string, args: Record<string, unknown>): unknown {
  return currentTime(args, executorContext({ clock: manualClock(Date.parse(iso)) }))
}

test('the time in a zone has its offset and weekday, in summer and in winter', () => {
  assert.deepEqual(timeAt('2026-01-05T12:34:56.789Z', { zone: 'Europe/Berlin' }), {
    zone: 'Europe/Berlin',
    time: '2026-01-05T13:34:56+01:00',
    weekday: 'Monday',
  })
  assert.deepEqual(timeAt('2026-07-05T12:00:00Z', { zone: 'Europe/Berlin' }), {
    zone: 'Europe/Berlin',
    time: '2026-07-05T14:00:00+02:00',
    weekday: 'Sunday',
  })
})

test('the day is the one of the zone', () => {
  assert.deepEqual(timeAt('2026-01-05T23:30:00Z', { zone: 'Asia/Kolkata' }), {
    zone: 'Asia/Kolkata',
    time: '2026-01-06T05:00:00+05:30',
    weekday: 'Tuesday',
  })
})

test('without a zone it is UTC', () => {
  const utc = { zone: 'UTC', time: '2026-01-05T12:00:00+00:00', weekday: 'Monday' }
  assert.deepEqual(timeAt('2026-01-05T12:00:00Z', {}), utc)
  assert.deepEqual(timeAt('2026-01-05T12:00:00Z', { zone: 'UTC' }), utc)
})

for (const zone of ['Berlin', 'Europe/Atlantis', '', 5, null, {}]) {
  test(`${JSON.stringify(zone)} is no zone`, () => {
    assert.throws(() => timeAt('2026-01-05T12:00:00Z', { zone }), {
      name: 'CorrectableError',
      message: 'There is no such time zone. Give an IANA name such as "Europe/Berlin" or "UTC".',
    })
  })
}
