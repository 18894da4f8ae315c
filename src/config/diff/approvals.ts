import type { ActionSpec, ApprovalSpec } from '../action-spec.ts'
import type { Weakening } from '../diff.ts'
import type { ConfigDocument } from '../document.ts'
import { without } from './json.ts'
import { isSameTarget, placeOfTarget, writtenBy } from './targets.ts'

const DAY_MS = 86_400_000

type Found = [path: string, message: string]
type Written = ReturnType<typeof writtenBy>

/**
 * Where calls need less of a person's word than before. An added action that writes is measured by the same: unless each of its
 * calls waits for somebody else's word, a second operator has to agree; else a new name would be the way around an approval, and so
 * would be an old one that does something else by now. That it only reads is taken from the document where anybody can see it.
 */
export function approvalWeakenings(before: ConfigDocument, after: ConfigDocument): Weakening[] {
  const written = writtenBy(before)
  return Object.entries(after.actions ?? {}).flatMap(([name, action]) => {
    const old = Object.hasOwn(before.actions ?? {}, name) ? before.actions?.[name] : undefined
    const found = old ? [...ofAction(old, action), ...ofTarget(old, action, written)] : ofAdded(action, written)
    return found.map(([path, message]) => ({
      kind: 'approval' as const,
      path: ['actions', name, path].filter(Boolean).join('.'),
      message: `${name} ${message}`,
    }))
  })
}

const UNAPPROVED = "and not every call of it waits for somebody else's approval."

function ofAdded(action: ActionSpec, written: Written): Found[] {
  if (waitsAlways(action)) return []
  if (action.access !== 'read') return [['', `is new and changes things, ${UNAPPROVED}`]]
  if (written.has(action)) {
    return [
      ['access', `is new and said to change nothing; before, what it does was treated as a change, ${UNAPPROVED}`],
    ]
  }
  const { method = 'GET' } = action.http ?? {}
  return method === 'GET' ? [] : [['http.method', `is new and said to change nothing, by ${method}, ${UNAPPROVED}`]]
}

function ofTarget(old: ActionSpec, action: ActionSpec, written: Written): Found[] {
  if (waitsAlways(action) || isSameTarget(old, action)) return []
  const isSeenToRead = action.access === 'read' && action.http?.method === 'GET' && !written.has(action)
  return isSeenToRead ? [] : [[placeOfTarget(action), `does something else than before, ${UNAPPROVED}`]]
}

/** Each call waits for the word of somebody else. */
function waitsAlways({ approval }: ActionSpec): boolean {
  return approval !== undefined && !approval.when && !approval.unlessRoles && !approval.ownAllowed
}

function ofAction(old: ActionSpec, action: ActionSpec): Found[] {
  const found: Found[] = []
  if (old.access !== 'read' && action.access === 'read') {
    found.push(['access', 'is said to change nothing; before, it was treated as one that does.'])
  }
  if (old.output !== 'trusted' && action.output === 'trusted') {
    found.push(['output', 'answers what is trusted; before, calls that change something needed approval after it.'])
  }
  if (old.afterUntrusted !== 'allowed' && action.afterUntrusted === 'allowed') {
    found.push(['afterUntrusted', 'needs no approval any more once untrusted output is in the context.'])
  }
  if (effectOf(old) === 'at-most-once' && effectOf(action) === 'idempotent') {
    found.push(['effect', 'may be tried again after its effect has begun; before, it was done at most once.'])
  }
  const callers = gained(old.roles, action.roles)
  if (old.roles && !action.roles)
    found.push(['roles', `may be called by everybody; before, by ${old.roles.join(', ')}.`])
  else if (old.roles && callers.length > 0) found.push(['roles', `may be called by ${callers.join(', ')}, too.`])
  return old.approval ? [...found, ...ofApproval(old.approval, action.approval)] : found
}

function ofApproval(old: ApprovalSpec, approval: ApprovalSpec | undefined): Found[] {
  if (!approval) return [['approval', 'needs no approval any more.']]
  const found: Found[] = []
  if (!covers(approval.when, old.when)) {
    found.push(['approval.when', 'needs approval for fewer calls than before.'])
  }
  const exempt = gained(old.unlessRoles, approval.unlessRoles)
  if (exempt.length > 0)
    found.push(['approval.unlessRoles', `needs no approval for callers who are ${exempt.join(', ')}.`])
  const deciders = gained(old.roles ?? ['Action.Approver'], approval.roles ?? ['Action.Approver'])
  if (deciders.length > 0) found.push(['approval.roles', `can be approved by ${deciders.join(', ')}, too.`])
  if (approval.ownAllowed && !old.ownAllowed) {
    found.push(['approval.ownAllowed', 'can be approved by whoever has asked for it.'])
  }
  const [expiresAfterMs, oldExpiry] = [approval.expiresAfterMs ?? DAY_MS, old.expiresAfterMs ?? DAY_MS]
  if (expiresAfterMs > oldExpiry) {
    found.push(['approval.expiresAfterMs', `waits for approval ${expiresAfterMs} ms instead of ${oldExpiry} ms.`])
  }
  const editable = gained(old.editable, approval.editable)
  if (editable.length > 0) {
    found.push(['approval.editable', `lets whoever approves change ${editable.join(', ')}, too.`])
  }
  return found
}

function effectOf({ access, effect }: ActionSpec): 'idempotent' | 'at-most-once' {
  return effect ?? (access === 'read' ? 'idempotent' : 'at-most-once')
}

function gained(old: readonly string[] = [], young: readonly string[] = []): string[] {
  return young.filter((item) => !old.includes(item))
}

/** Whether every call that `old` holds for is one that `when` holds for. */
function covers(when: ApprovalSpec['when'], old: ApprovalSpec['when']): boolean {
  return Object.entries(when ?? {}).every(([argument, values]) => {
    const oldValues = old && Object.hasOwn(old, argument) ? old[argument] : undefined
    return oldValues !== undefined && without(oldValues, values).length === 0
  })
}
