import { type Clock, waitAtMost } from '../clock.ts'

/** What `work` comes to, or a rejection when that takes longer than `limitMs`; `work` itself goes on. */
export async function within<Result>(clock: Clock, limitMs: number, work: Promise<Result>): Promise<Result> {
  const late = Promise.withResolvers<never>()
  const cancel = waitAtMost(clock, limitMs, () => late.reject(new Error('no answer in time')))
  try {
    return await Promise.race([work, late.promise])
  } finally {
    cancel()
  }
}
