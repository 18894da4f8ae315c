/** Calls in a row that are timed together, since one is too short for a clock. */
export const PER_BATCH = 100

/** Microseconds of one call, by batch. */
export function callTimes(call: (at: number) => unknown, batches: number): number[] {
  return Array.from({ length: batches }, (_, batch) => {
    const began = performance.now()
    for (let at = batch * PER_BATCH; at < (batch + 1) * PER_BATCH; at++) call(at)
    return ((performance.now() - began) * 1000) / PER_BATCH
  })
}
