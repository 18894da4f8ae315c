import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { type Key, type Kv, key } from '#platform/kv/kv.ts'

export interface KvUnderTest extends AsyncDisposable {
  kv: Kv
  /** A client of another replica; the same where there can be but one. */
  other: Kv
  /** Lets time pass for the store. */
  pass(ms: number): Promise<void>
}

/** Declares one behaviour; the body gets a store of its own. */
export type Check = (behaviour: string, body: (store: KvUnderTest) => Promise<void>) => void

export function somewhere(): Key {
  return key(randomUUID(), 'somewhere')
}

/** Lets the store's time pass until it is so, at most twenty seconds of it. */
export async function eventually({ pass }: KvUnderTest, holds: () => Promise<boolean>): Promise<void> {
  for (let passedMs = 0; passedMs < 20_000; passedMs += 20) {
    if (await holds()) return
    await pass(20)
  }
  assert.fail('it did not come to pass within twenty seconds')
}

/** For what arrives by itself. */
export async function until(holds: () => boolean | Promise<boolean>, withinMs = 60_000): Promise<void> {
  const end = performance.now() + withinMs
  while (!(await holds())) {
    if (performance.now() > end) assert.fail(`it did not come to pass within ${withinMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
