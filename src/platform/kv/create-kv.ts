import { appendEntry, deleteKey, getValue, putValue, readEntries, sendSignal } from './basic-operations.ts'
import { Call, type Engine } from './engine.ts'
import type { Arg, Key, Kv, Operation } from './kv.ts'
import { checkArg, checkCount, checkKeys, checkPayload, checkPosition, checkReadLimit } from './limits.ts'

/** The port over an engine: what both engines do alike, limits first. Everything goes through operations. */
export function createKv(engine: Engine): Kv {
  const run = <Result>(operation: Operation<Result>, keys: readonly Key[], args: readonly Arg[]): Promise<Result> =>
    new Promise<Result>((resolve, reject) => {
      checkKeys(keys)
      for (const arg of args) checkArg(arg)
      engine.submit(new Call(operation, keys, args, resolve as (result: unknown) => void, reject))
    })

  return {
    engine: engine.engine,
    get reachable() {
      return engine.reachable
    },
    get fault() {
      return engine.fault
    },
    get: (key) => run(getValue, [key], []),
    put: async (key, value, { ifVersion, ttlMs } = {}) =>
      run(
        putValue,
        [key],
        [value, orNone(checkCount('ifVersion', ifVersion, 0)), orNone(checkCount('ttlMs', ttlMs, 1))],
      ),
    delete: async (key, { ifVersion } = {}) => run(deleteKey, [key], [orNone(checkCount('ifVersion', ifVersion, 0))]),
    append: async (key, position, body, { ttlMs } = {}) =>
      run(appendEntry, [key], [checkPosition(position), body, orNone(checkCount('ttlMs', ttlMs, 1))]),
    read: async (key, after, limit) => {
      if (after !== -1) checkPosition(after)
      checkReadLimit(limit)
      return run(readEntries, [key], [after, limit])
    },
    signal: async (key, payload = '') => {
      checkPayload(payload)
      return run(sendSignal, [key], [payload])
    },
    run,
    listen: (key, onSignal, onGap) => engine.listen(key, onSignal, onGap),
    close: () => engine.close(),
  }
}

/** The empty argument stands for "not given". */
function orNone(count: number | undefined): Arg {
  return count ?? ''
}
