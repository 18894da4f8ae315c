import { ParleyError } from '#errors.ts'
import { appendEntry, deleteKey, getValue, putValue, readEntries, sendSignal } from './basic-operations.ts'
import { Call, type Engine } from './engine.ts'
import { type Arg, type Key, type Kv, kvLimits, type Operation } from './kv.ts'

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
      if (!Number.isInteger(limit) || limit < 1 || limit > kvLimits.readEntries) {
        throw new RangeError(`A read takes 1 to ${kvLimits.readEntries} entries`)
      }
      return run(readEntries, [key], [after, limit])
    },
    signal: async (key, payload = '') => {
      checkPayload(payload)
      return run(sendSignal, [key], [payload])
    },
    run,
    listen: (key, onSignal) => engine.listen(key, onSignal),
    close: () => engine.close(),
  }
}

/** The empty argument stands for "not given". */
function orNone(count: number | undefined): Arg {
  return count ?? ''
}

function checkCount(name: string, count: number | undefined, least: number): number | undefined {
  if (count === undefined || (Number.isSafeInteger(count) && count >= least)) return count
  throw new RangeError(`${name} is a whole number from ${least}`)
}

export function checkPosition(position: number): number {
  // One below the largest: Redis keeps position + 1, as it knows no entry 0.
  if (Number.isSafeInteger(position) && position >= 0 && position < Number.MAX_SAFE_INTEGER) return position
  throw new RangeError('A position is a whole number from 0')
}

export function checkPayload(payload: string): void {
  if (Buffer.byteLength(payload) > kvLimits.payloadBytes) {
    throw new RangeError(`A payload has at most ${kvLimits.payloadBytes} bytes`)
  }
}

function checkKeys(keys: readonly Key[]): void {
  const first = keys[0]
  if (first === undefined) throw new RangeError('An operation needs a key')
  if (keys.length === 1) return
  const partition = first.slice(0, first.indexOf('}') + 1)
  for (const key of keys) {
    if (!key.startsWith(partition)) throw new RangeError('All keys of an operation share one partition')
  }
}

function checkArg(arg: Arg): void {
  if (typeof arg === 'number') {
    if (!Number.isFinite(arg)) throw new RangeError('A number among the arguments is finite')
    return
  }
  // A character has at most three bytes, so most strings need no counting.
  if (typeof arg === 'string' && arg.length * 3 <= kvLimits.valueBytes) return
  if (Buffer.byteLength(arg) > kvLimits.valueBytes) throw new ParleyError('message_too_large')
}
