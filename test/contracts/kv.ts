import { test } from 'node:test'
import { limits } from './kv/limits.ts'
import { logs } from './kv/logs.ts'
import { operations } from './kv/operations.ts'
import { signals } from './kv/signals.ts'
import type { Check, KvUnderTest } from './kv/under-test.ts'
import { values } from './kv/values.ts'

/** What every engine has to do alike. `open` is called for each test; `skip` names why an engine cannot be tested here. */
export function kvContract(engine: string, open: () => Promise<KvUnderTest>, skip: string | false = false): void {
  const check: Check = (behaviour, body) =>
    test(`kv on ${engine}: ${behaviour}`, { skip }, async () => {
      await using store = await open()
      await body(store)
    })
  for (const part of [values, logs, operations, signals, limits]) part(check)
}
