import { test } from 'node:test'
import { deadLetters } from './queue/dead-letters.ts'
import { limits } from './queue/limits.ts'
import { locking } from './queue/locking.ts'
import { receiving } from './queue/receiving.ts'
import { sending } from './queue/sending.ts'
import type { Check, QueueUnderTest } from './queue/under-test.ts'

export interface Skips {
  /** Why this engine cannot be tested here at all. */
  all?: string | false
  /** Why it cannot be tested where minutes have to pass. */
  slow?: string | false
}

/** What every engine has to do alike. `open` is called for each test. */
export function queueContract(engine: string, open: () => Promise<QueueUnderTest>, skips: Skips = {}): void {
  const check: Check = (behaviour, body, pace) =>
    test(`queue on ${engine}: ${behaviour}`, { skip: skips.all || (pace && skips.slow) || false }, async () => {
      await using under = await open()
      await body(under)
    })
  for (const part of [sending, locking, receiving, deadLetters, limits]) part(check)
}
