import type { RolloutView } from '#config/rollouts.ts'
import type { ErrorBody } from '#errors.ts'

/** The command was not given as it takes it: exit code 2. */
export class Misused extends Error {}

/** What the process answered that does not do what it was asked: exit code 1. */
export class Refused extends Error {
  readonly body: ErrorBody & { rollout?: RolloutView }

  constructor(body: Refused['body']) {
    super(body.error.message)
    this.body = body
  }

  /** Whether the same may be answered later. */
  get isPassing(): boolean {
    return ['server_error', 'rate_limit_error'].includes(this.body.error.type)
  }

  get code(): string {
    return this.body.error.code
  }
}

/** A 200 that Parley did not give, such as a sign-in page of what stands between; asking again brings the same. */
export class Foreign extends Refused {
  override get isPassing(): boolean {
    return false
  }
}

/** A signal told the command to stop; the reason of `Host.signal`. What had not ended by then ends with the shells' exit code. */
export class Stopped extends Error {
  readonly exitCode: number

  constructor(signal: 'SIGINT' | 'SIGTERM') {
    super(`${signal} came.`)
    this.exitCode = signal === 'SIGINT' ? 130 : 143
  }
}

/** Somebody pressed Ctrl-C, and what was under way has ended by it: exit code 130, as shells have it. */
export class Cancelled extends Error {}
