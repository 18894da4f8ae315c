import type { RunSettled, TurnEnded } from '#events/events.ts'

/**
 * Codes by which a turn fails through what its caller did or may do, whatever the version says: such a turn says nothing about
 * it. All others count, also those that the store or the provider causes: they befall both arms alike, which the test is made for.
 */
const callers: ReadonlySet<string> = new Set([
  'arguments_invalid',
  'bad_json',
  'bad_position',
  'body_too_large',
  'conversation_not_found',
  'cross_site',
  'forbidden',
  'headers_too_large',
  'idempotency_mismatch',
  'invalid_request',
  'message_too_large',
  'method_not_allowed',
  'not_acceptable',
  'not_found',
  'precondition_required',
  'request_timeout',
  'slow_consumer',
  'too_many_conversations',
  'turn_finished',
  'turn_in_progress',
  'turn_not_found',
  'turn_running',
  'unauthenticated',
  'unsupported_media_type',
  'unsupported_parameter',
  'upgrade_required',
])

/** Beside those, where a request is passed through as its caller wrote it. In a turn, prompt and tools are the version's. */
const relayCallers: ReadonlySet<string> = new Set([
  'content_filtered',
  'context_overflow',
  'model_not_found',
  'provider_rejected',
])

/** What a turn says about the version that served it; undefined: nothing. */
export function outcomeOf(
  { status, code }: Pick<TurnEnded, 'status' | 'code'>,
  isRelay: boolean,
): 'ok' | 'failed' | undefined {
  if (status !== 'failed') return 'ok'
  if (code !== null && (callers.has(code) || (isRelay && relayCallers.has(code)))) return undefined
  return 'failed'
}

export function isNotCompleted({ status, finish }: Pick<TurnEnded, 'status' | 'finish'>): boolean {
  return status === 'cancelled' || finish === 'length' || finish === 'content_filter'
}

/**
 * Whether a run speaks against its version: it was rejected (by the rules, or by whoever had to approve it), it failed, was given
 * up, or nobody knows. That callers lack a role, or approvers are strict, befalls both arms alike; where it befalls one, it is what
 * its models ask for. What a person called off, said by hand or left undone (approval and sign-in expired) says nothing.
 */
export function isFailedRun({ status, reason }: Pick<RunSettled, 'status' | 'reason'>): boolean {
  if (reason === 'settled_by_hand') return false
  return status === 'rejected' || status === 'failed' || status === 'dead-lettered' || status === 'unknown'
}
