import type { ExecutorKind } from '../../src/actions/executors/executor.ts'
import { createHttpExecutors } from '../../src/actions/executors/http/http.ts'
import { createHttpCall } from '../../src/actions/executors/http/http-call.ts'
import type { Log } from '../../src/log.ts'
import type { Clock } from '../../src/platform/clock.ts'
import { createEgress, type EgressOptions } from '../../src/platform/egress/egress.ts'

/** The http executors over an egress with these rules. */
export function httpExecutors(rules: Omit<EgressOptions, 'clock'>, clock: Clock, log: Log): ExecutorKind {
  const egress = createEgress({ ...rules, clock })
  return createHttpExecutors(createHttpCall(egress, clock, log))
}
