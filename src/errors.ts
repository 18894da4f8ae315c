const invalid = <const Status extends number>(status: Status, message: string) =>
  ({ status, type: 'invalid_request_error', retryable: false, message }) as const

/**
 * The closed catalogue: every error that leaves Parley has one of these codes. `docs/errors.md` documents each;
 * a test holds the two against each other.
 */
const catalogue = {
  bad_json: invalid(400, 'The body is not valid JSON.'),
  invalid_request: invalid(400, 'The request is not valid.'),
  unsupported_parameter: invalid(400, 'This parameter is not supported.'),
  context_overflow: invalid(400, 'The message does not fit into the context window of the model.'),
  provider_rejected: invalid(400, 'The model refused the request as invalid.'),
  content_filtered: invalid(400, 'The content filter of the model refused the request.'),
  bad_position: invalid(400, 'This position does not belong to this turn.'),
  unauthenticated: {
    status: 401,
    type: 'authentication_error',
    retryable: false,
    message: 'The request carries no valid identity.',
  },
  forbidden: {
    status: 403,
    type: 'permission_error',
    retryable: false,
    message: 'This is not allowed for the caller.',
  },
  cross_site: {
    status: 403,
    type: 'permission_error',
    retryable: false,
    message: 'Requests from another web site are refused.',
  },
  key_scope: {
    status: 403,
    type: 'permission_error',
    retryable: false,
    message: 'This key was not made for that.',
  },
  not_found: invalid(404, 'There is nothing at this address.'),
  model_not_found: invalid(404, 'There is no such model, route or specialist.'),
  specialist_not_found: invalid(404, 'There is no such specialist.'),
  conversation_not_found: invalid(404, 'There is no such conversation.'),
  turn_not_found: invalid(404, 'There is no such turn.'),
  action_not_found: invalid(404, 'There is no such action.'),
  run_not_found: invalid(404, 'There is no such run.'),
  key_not_found: invalid(404, 'There is no such key.'),
  erasure_not_found: invalid(404, 'Nothing was erased of this person.'),
  erased: invalid(404, 'This was erased.'),
  run_state: {
    status: 409,
    type: 'conflict_error',
    retryable: false,
    message: 'The state of the run does not permit this.',
  },
  approval_changed: {
    status: 412,
    type: 'conflict_error',
    retryable: false,
    message: 'What is to be approved is not what the run holds.',
  },
  arguments_invalid: invalid(422, 'The arguments do not fit the parameters of the action.'),
  runs_full: { status: 503, type: 'server_error', retryable: true, message: 'Too many runs are waiting already.' },
  queue_unavailable: { status: 503, type: 'server_error', retryable: true, message: 'The queue is out of reach.' },
  database_unavailable: {
    status: 503,
    type: 'server_error',
    retryable: true,
    message: 'The database is out of reach.',
  },
  method_not_allowed: invalid(405, 'This method is not allowed here.'),
  not_acceptable: invalid(406, 'None of the accepted media types can be served.'),
  turn_in_progress: {
    status: 409,
    type: 'conflict_error',
    retryable: true,
    message: 'A turn of this conversation is still running.',
  },
  turn_finished: { status: 409, type: 'conflict_error', retryable: false, message: 'The turn has ended already.' },
  turn_running: { status: 409, type: 'conflict_error', retryable: true, message: 'The turn has not ended yet.' },
  version_conflict: {
    status: 412,
    type: 'conflict_error',
    retryable: false,
    message: 'It was changed by somebody else meanwhile.',
  },
  body_too_large: invalid(413, 'The body is too large.'),
  message_too_large: invalid(413, 'The message is too large.'),
  unsupported_media_type: invalid(415, 'The body has to be application/json.'),
  idempotency_mismatch: invalid(422, 'This Idempotency-Key was used with another body.'),
  too_many_conversations: {
    status: 409,
    type: 'conflict_error',
    retryable: false,
    message: 'There are too many conversations.',
  },
  too_many_keys: { status: 409, type: 'conflict_error', retryable: false, message: 'There are too many keys.' },
  key_state: { status: 409, type: 'conflict_error', retryable: false, message: 'The key has ended.' },
  rate_limited: { status: 429, type: 'rate_limit_error', retryable: true, message: 'Too many requests.' },
  upgrade_required: invalid(426, 'This address speaks WebSocket, version 13.'),
  headers_too_large: invalid(431, 'The headers are too large.'),
  request_timeout: {
    status: 408,
    type: 'invalid_request_error',
    retryable: true,
    message: 'The request took too long to arrive.',
  },
  internal: { status: 500, type: 'server_error', retryable: false, message: 'Something went wrong on our side.' },
  model_misconfigured: {
    status: 502,
    type: 'server_error',
    retryable: false,
    message: 'The model cannot be used as it is configured.',
  },
  model_failed: { status: 502, type: 'server_error', retryable: true, message: 'The model failed to answer.' },
  model_interrupted: {
    status: 502,
    type: 'server_error',
    retryable: true,
    message: 'The model failed in the middle of its answer and no other could continue it.',
  },
  model_timeout: { status: 504, type: 'server_error', retryable: true, message: 'The model took too long to answer.' },
  models_unavailable: {
    status: 503,
    type: 'server_error',
    retryable: true,
    message: 'No model of this route is available at the moment.',
  },
  models_busy: {
    status: 503,
    type: 'server_error',
    retryable: true,
    message: 'All models of this route are at their limit.',
  },
  state_unavailable: {
    status: 503,
    type: 'server_error',
    retryable: true,
    message: 'The conversation store is out of reach.',
  },
  overloaded: {
    status: 503,
    type: 'server_error',
    retryable: true,
    message: 'This replica takes no more turns at the moment.',
  },
  shutting_down: { status: 503, type: 'server_error', retryable: true, message: 'This replica is shutting down.' },
  turn_lost: {
    status: 503,
    type: 'server_error',
    retryable: true,
    message: 'The turn was interrupted and could not be continued.',
  },
  turn_deadline: {
    status: 504,
    type: 'server_error',
    retryable: false,
    message: 'The turn took longer than a turn may.',
  },
  too_many_steps: invalid(422, 'The turn reached its limit of steps or calls.'),
  slow_consumer: {
    status: 408,
    type: 'invalid_request_error',
    retryable: true,
    message: 'The reader was too slow; resume from the last position.',
  },
  config_invalid: invalid(422, 'The config version is not valid.'),
  config_unavailable: {
    status: 503,
    type: 'server_error',
    retryable: true,
    message: 'There is no config version to serve from.',
  },
  identity_unavailable: {
    status: 503,
    type: 'server_error',
    retryable: true,
    message: 'The identity provider is out of reach.',
  },
  config_not_found: invalid(404, 'There is no such config version.'),
  config_exists: {
    status: 409,
    type: 'conflict_error',
    retryable: false,
    message: 'A config version of this name exists already with other bytes: versions are immutable.',
  },
  rollout_state: {
    status: 409,
    type: 'conflict_error',
    retryable: false,
    message: 'The state of the rollout does not permit this.',
  },
  rollout_state_unreadable: {
    status: 409,
    type: 'conflict_error',
    retryable: false,
    message:
      'What the store has as state.json cannot be read; what was known last is served. An operator puts it right: npx parley config restore, or POST /api/v1/config/rollout/restore.',
  },
  rollout_state_diverged: {
    status: 409,
    type: 'conflict_error',
    retryable: false,
    message:
      'What the store has as state.json does not follow from what is known: somebody has put an older one back, or another. What is known is served. An operator decides: npx parley config restore, or POST /api/v1/config/rollout/restore.',
  },
  second_operator_needed: {
    status: 409,
    type: 'conflict_error',
    retryable: false,
    message: 'This version guards less than the one that serves: a second operator has to agree.',
  },
  precondition_required: invalid(428, 'Say by If-Match what you have seen.'),
  secrets_unavailable: {
    status: 503,
    type: 'server_error',
    retryable: true,
    message: 'The vault of secrets is out of reach.',
  },
  blob_unavailable: { status: 503, type: 'server_error', retryable: true, message: 'The blob store is out of reach.' },
  killed: {
    status: 503,
    type: 'server_error',
    retryable: false,
    message: 'An operator has stopped this.',
  },
  budget_exceeded: {
    status: 402,
    type: 'insufficient_quota',
    retryable: false,
    message: 'The budget is used up.',
  },
  groups_unknown: {
    status: 503,
    type: 'server_error',
    retryable: true,
    message: 'Groups of the organisation have budgets, and which of them the caller is in cannot be told.',
  },
  environment_invalid: {
    status: 500,
    type: 'server_error',
    retryable: false,
    message: 'The environment is contradictory or incomplete.',
  },
  data_locked: {
    status: 500,
    type: 'server_error',
    retryable: false,
    message: 'The data folder is in use by another process.',
  },
  sealed_unreadable: {
    status: 500,
    type: 'server_error',
    retryable: false,
    message: 'Stored data could not be decrypted.',
  },
} as const satisfies Record<string, CatalogueEntry>

interface CatalogueEntry {
  status: number
  type: ErrorType
  retryable: boolean
  message: string
}

type ErrorType =
  | 'invalid_request_error'
  | 'authentication_error'
  | 'permission_error'
  | 'conflict_error'
  | 'rate_limit_error'
  | 'insufficient_quota'
  | 'server_error'

export type ErrorCode = keyof typeof catalogue
export const errorCodes = Object.keys(catalogue) as ErrorCode[]

export interface ErrorOptions extends Faulty {
  /** What exactly, for the caller to read; the catalogue's sentence when absent. Never content of messages. */
  message?: string
  /** The parameter at fault, as a path (`messages.0.content`). */
  param?: string
  retryAfterMs?: number
  /** Of a caller who is under limits: what is left. */
  limits?: LimitFigures
  cause?: unknown
}

/** What is left to a caller of the limits on requests and on tokens. */
export interface LimitFigures {
  requests?: LimitFigure
  tokens?: LimitFigure
}

export interface LimitFigure {
  limit: number
  remaining: number
  /** Until all of it is there again. */
  resetMs: number
}

interface Faulty {
  /** Of a document with faults: all of them. */
  faults?: readonly ErrorFault[]
}

/** What is wrong at one place of a document; lines and columns count from 1. */
export interface ErrorFault {
  /** Segments joined by dots; empty for the document as a whole. */
  path: string
  line: number
  column: number
  message: string
}

export class ParleyError extends Error {
  override readonly name = 'ParleyError'
  readonly code: ErrorCode
  readonly param: string | undefined
  readonly retryAfterMs: number | undefined
  readonly limits: LimitFigures | undefined
  readonly faults: readonly ErrorFault[] | undefined

  constructor(code: ErrorCode, options: ErrorOptions = {}) {
    super(options.message ?? catalogue[code].message, { cause: options.cause })
    this.code = code
    this.param = options.param
    this.retryAfterMs = options.retryAfterMs
    this.limits = options.limits
    this.faults = options.faults
  }

  get status(): number {
    return catalogue[this.code].status
  }

  get retryable(): boolean {
    return catalogue[this.code].retryable
  }

  /** The one shape in which errors leave, on every surface. */
  toBody(requestId: string | undefined): ErrorBody {
    const { code, message, param, faults } = this
    const error = { code, message, type: catalogue[code].type, param: param ?? null, request_id: requestId ?? null }
    return { error: faults ? { ...error, faults } : error }
  }
}

export interface ErrorBody {
  error: { code: string; message: string; type: string; param: string | null; request_id: string | null } & Faulty
}

/** What was thrown, as one of ours: the unknown becomes `internal`, its cause kept for the log. */
export function asParleyError(thrown: unknown): ParleyError {
  return thrown instanceof ParleyError ? thrown : new ParleyError('internal', { cause: thrown })
}
