import { STATUS_CODES } from 'node:http'
import { Type } from 'typebox'
import { servedHeaderDocs } from './config-header.ts'
import { ErrorReply, Turn } from './schema.ts'
import { Run } from './schema-runs.ts'

/** How replies are described in the schemas of routes. */

const problem = (status: number) => ({
  description: STATUS_CODES[status],
  content: { 'application/json': { schema: ErrorReply } },
})

/** The one shape of errors, under each of these statuses. */
export function errors<const Status extends number>(...statuses: readonly Status[]) {
  const entries = statuses.map((status) => [status, problem(status)])
  return Object.fromEntries(entries) as Record<Status, ReturnType<typeof problem>>
}

export function empty(description: string) {
  return Type.Null({ description })
}

const turnHeaders = {
  'x-parley-turn': { type: 'string', description: 'The id of the turn.' },
  ...servedHeaderDocs,
}

/** A turn as a stream of its events, or whole. */
export const turnReply = {
  description:
    'The events of the turn as they happen; or, where no event stream is accepted, the turn once it has ended.',
  headers: turnHeaders,
  content: {
    'text/event-stream': {
      schema: Type.String({
        description:
          '`id` is turn and position; `event` is one of turn.started, token, segment, call, run, notice, snapshot, usage, turn.completed, turn.failed, turn.cancelled; `data` is JSON.',
      }),
    },
    'application/json': { schema: Turn },
  },
}

export const startedRun = (description: string) => ({
  description,
  headers: { location: { type: 'string', description: 'Where the run can be read.' } },
  content: { 'application/json': { schema: Run } },
})

/** A run as a stream of what becomes of it, or whole. */
export const runStreamReply = {
  description: 'The run at each change; or, where no event stream is accepted, once it is settled or after a minute.',
  content: {
    'text/event-stream': {
      schema: Type.String({
        description:
          '`id` is run and version; `event` is run, `data` is the run; or notice with {code, message}, when the stream ends early.',
      }),
    },
    'application/json': { schema: Run },
  },
}
