import { isDeepStrictEqual } from 'node:util'
import type { RunSettled, TurnEnded } from '#events/events.ts'
import type { ConfigVersion } from '../document.ts'

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

/** Reasons by which a run is rejected for who asked, or by who was asked. */
const people: ReadonlySet<string> = new Set(['approval_rejected', 'key_scope', 'role_missing'])

/**
 * Whether a run speaks against its version: it was rejected (by the rules, or by whoever had to approve it), it failed, was given
 * up, or nobody knows. That callers lack a role, or approvers are strict, befalls both arms alike where both have the same rules for
 * the action: where it befalls one more often, it is what its models ask for. Where one has other rules, one that asks for approval
 * first, say, it is these rules at work, and says nothing about either. What a person called off, said by hand or left undone
 * (approval and sign-in expired) says nothing.
 */
export function isFailedRun(
  { status, reason, action }: Pick<RunSettled, 'status' | 'reason' | 'action'>,
  stable: ConfigVersion,
  candidate: ConfigVersion | undefined,
): boolean {
  if (reason === 'settled_by_hand') return false
  if (reason !== null && people.has(reason) && !haveSameRules(action, stable, candidate)) return false
  return status === 'rejected' || status === 'failed' || status === 'dead-lettered' || status === 'unknown'
}

function haveSameRules(action: string, stable: ConfigVersion, candidate: ConfigVersion | undefined): boolean {
  const rules = rulesFor(action, stable)
  return rules !== undefined && isDeepStrictEqual(rules, rulesFor(action, candidate))
}

/** By whom it may be asked for, and who is asked first; undefined where the version has no such action. */
function rulesFor(name: string, version: ConfigVersion | undefined) {
  const actions = version?.document.actions ?? {}
  const spec = Object.hasOwn(actions, name) ? actions[name] : undefined
  if (!spec) return undefined
  const { roles, approval, access = 'write', afterUntrusted = 'approval' } = spec
  return { roles, approval, access, afterUntrusted }
}
