import { CorrectableError, type Executor } from '../executor.ts'

/** `{ zone }`, an IANA name, UTC when absent → `{ zone, time, weekday }`, the time as ISO 8601 with its offset. */
export const currentTime: Executor = ({ zone = 'UTC' }, { clock }) => {
  const time = inZone(clock.now(), zone)
  return {
    zone: time.timeZoneId,
    time: time.toString({ timeZoneName: 'never', smallestUnit: 'second' }),
    weekday: time.toLocaleString('en', { weekday: 'long' }),
  }
}

function inZone(now: number, zone: unknown): Temporal.ZonedDateTime {
  try {
    return Temporal.Instant.fromEpochMilliseconds(now).toZonedDateTimeISO(String(zone))
  } catch {
    throw new CorrectableError('There is no such time zone. Give an IANA name such as "Europe/Berlin" or "UTC".')
  }
}
