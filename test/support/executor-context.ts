import type { ExecutorContext } from '../../src/actions/executors/executor.ts'
import { systemClock } from '../../src/platform/clock.ts'

/** What an executor is handed, for tests of one alone: a user of the local tenant, at the first attempt. */
export function executorContext(change: Partial<ExecutorContext> = {}): ExecutorContext {
  return {
    clock: systemClock,
    signal: new AbortController().signal,
    principal: { tenant: 'local', id: 'local', name: 'Local', kind: 'user', roles: ['Chat.User'], scopes: [] },
    run: 'run_00000000000000000000000000000001',
    key: 'turn/0/0',
    attempt: 1,
    traceparent: undefined,
    begin: async () => {},
    userToken: () => Promise.reject(new Error('No token is expected here.')),
    ...change,
  }
}
