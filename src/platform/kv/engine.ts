import { asParleyError, ParleyError } from '#errors.ts'
import type { Arg, Key, Kv, Operation, Reply } from './kv.ts'

/** What an engine has to offer so that `createKv` can make a `Kv` of it. */
export interface Engine {
  readonly engine: Kv['engine']
  readonly reachable: boolean
  readonly fault: string | undefined
  /** Runs the call's operation and settles it. Calls of one tick go together, in order. */
  submit(call: Call): void
  listen(key: Key, onSignal: (payload: string) => void, onGap?: () => void): Promise<() => void>
  close(): Promise<void>
}

/** One operation on its way: settled once, by its engine. */
export class Call {
  readonly operation: Operation<unknown>
  readonly keys: readonly Key[]
  readonly args: readonly Arg[]
  readonly #resolve: (result: unknown) => void
  readonly #reject: (error: ParleyError) => void

  constructor(
    operation: Operation<unknown>,
    keys: readonly Key[],
    args: readonly Arg[],
    resolve: (result: unknown) => void,
    reject: (error: ParleyError) => void,
  ) {
    this.operation = operation
    this.keys = keys
    this.args = args
    this.#resolve = resolve
    this.#reject = reject
  }

  succeed(reply: Reply): void {
    try {
      this.#resolve(this.operation.decode(reply))
    } catch (error) {
      this.fail(error)
    }
  }

  fail(error: unknown): void {
    this.#reject(asParleyError(error))
  }
}

export function unavailable(cause: unknown): ParleyError {
  return new ParleyError('state_unavailable', { cause })
}
