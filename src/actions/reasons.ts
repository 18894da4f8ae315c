/** Why a run stands where it stands: a stable code, and the sentence that a model or a person is told. */
export const reasons = {
  unknown_action: 'There is no such action.',
  read_only: 'This action changes something, and this turn may only read. Answer without it.',
  key_scope: 'The key that asks was not made for this action.',
  key_ended: 'The key that asked for it has expired or was revoked.',
  role_missing: 'The user may not use this action.',
  user_missing: 'This action is done on behalf of a user, and an application has none behind it.',
  arguments_invalid: 'The arguments do not fit.',
  awaiting_approval: 'It waits for approval.',
  approval_outdated:
    'The config version that it was approved under was rolled back before it began; it has to be approved anew.',
  approval_rejected: 'It was not approved.',
  approval_expired: 'Nobody approved it in time.',
  awaiting_identity: 'It waits until the user signs in again.',
  identity_expired: 'The user did not sign in again in time.',
  stopped: 'An operator has stopped this action; it waits.',
  withdrawn: 'The call was withdrawn before it began.',
  cancelled: 'It was cancelled before it began.',
  timeout: 'The action did not end in time.',
  target_refused: 'The target refused the call.',
  answer_lost: 'The target was asked, and its answer cannot be used.',
  result_too_large: 'It took place, but its result is too large to be kept.',
  effect_unknown: 'Whether the action took place is not known; a person has to look.',
  worker_lost: 'The worker that ran it ended without an answer.',
  blob_unavailable: 'The store of config versions is out of reach.',
  state_unavailable: 'The store of its keys is out of reach.',
  database_unavailable: 'The database is out of reach.',
  sealed_unreadable: 'What was asked cannot be read: its key is missing, or it was damaged.',
  erased: 'Whoever asked for it was erased, and what was asked with them.',
  internal: 'The action failed for a reason on our side.',
  discarded: 'It was discarded.',
  settled_by_hand: 'A person said what became of it.',
} as const

export type Reason = keyof typeof reasons

export function sentenceOf(reason: string | null): string {
  return reason !== null && Object.hasOwn(reasons, reason)
    ? reasons[reason as Reason]
    : 'The action could not be carried out.'
}
