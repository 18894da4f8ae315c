import type { ActionSpec } from '#config/action-spec.ts'
import type { ConfigVersion } from '#config/document.ts'
import { ParleyError } from '#errors.ts'
import { mayAct } from '#identity/key-grant.ts'
import type { Principal, Role } from '#identity/principal.ts'
import { reasons } from './reasons.ts'
import type { RunApproval } from './runs/run-row.ts'

/** What an action's spec leaves open, filled in. */
export interface ActionRules {
  access: 'read' | 'write'
  trusted: boolean
  /** Its effect must not be tried twice. */
  once: boolean
  ordered: boolean
  timeoutMs: number
  maxAttempts: number
}

const DEFAULT_TIMEOUT_MS = 30_000
const DEFAULT_RETRIES = 5
const DEFAULT_EXPIRY_MS = 24 * 60 * 60_000
const DEFAULT_APPROVERS: readonly Role[] = ['Action.Approver']

export function rulesOf(spec: ActionSpec): ActionRules {
  const access = spec.access ?? 'write'
  return {
    access,
    trusted: spec.output === 'trusted',
    once: (spec.effect ?? (access === 'read' ? 'idempotent' : 'at-most-once')) === 'at-most-once',
    ordered: spec.order === 'conversation',
    timeoutMs: spec.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    maxAttempts: 1 + (spec.retries ?? DEFAULT_RETRIES),
  }
}

export function actionOf({ document }: ConfigVersion, name: string): ActionSpec | undefined {
  const { actions = {} } = document
  return Object.hasOwn(actions, name) ? actions[name] : undefined
}

/** The actions that a specialist offers, in its order. */
export function actionsOf(config: ConfigVersion, specialist: string): [name: string, spec: ActionSpec][] {
  const { specialists } = config.document
  const names = (Object.hasOwn(specialists, specialist) && specialists[specialist]?.actions) || []
  return names.flatMap((name) => {
    const spec = actionOf(config, name)
    return spec ? [[name, spec]] : []
  })
}

function mayCall({ roles }: ActionSpec, principal: Pick<Principal, 'roles'>): boolean {
  return roles === undefined || roles.some((role) => principal.roles.includes(role))
}

type Refusal = 'key_scope' | 'role_missing' | 'user_missing'

/** Why this principal may not call the action at all; undefined for who may. An application has no user to call a tool for. */
export function refusalOf(
  { document }: Pick<ConfigVersion, 'document'>,
  name: string,
  spec: ActionSpec,
  principal: Pick<Principal, 'roles' | 'kind' | 'key'>,
): Refusal | undefined {
  if (!mayAct(principal, name)) return 'key_scope'
  if (!mayCall(spec, principal)) return 'role_missing'
  const source = spec.mcp
    ? document.mcpServers?.[spec.mcp.server]
    : spec.openapi
      ? document.openapi?.[spec.openapi.document]
      : spec.http
  return source?.onBehalfOf !== undefined && principal.kind === 'service' ? 'user_missing' : undefined
}

/** The same for a program that asks. */
export function refusalError(refusal: Refusal): ParleyError {
  return new ParleyError(refusal === 'key_scope' ? 'key_scope' : 'forbidden', { message: reasons[refusal] })
}

/**
 * Whether a call needs approval, and by whom. A `write` action needs one once words of strangers are in the context, unless it
 * opts out; else by the action's own rule.
 */
export function approvalFor(
  spec: ActionSpec,
  args: Readonly<Record<string, unknown>>,
  principal: Pick<Principal, 'roles'>,
  untrusted: boolean,
  now: number,
): RunApproval | null {
  const { approval } = spec
  const byRule = approval !== undefined && concerns(approval, args) && !isExempt(approval.unlessRoles, principal)
  const byWords = untrusted && rulesOf(spec).access === 'write' && spec.afterUntrusted !== 'allowed'
  if (!byRule && !byWords) return null
  // Against strangers' words the user's own confirmation is what helps, whatever their role; nobody else's but an approver's.
  const who = byRule
    ? { roles: [...(approval.roles ?? DEFAULT_APPROVERS)], ownAllowed: approval.ownAllowed ?? false }
    : { roles: [...DEFAULT_APPROVERS], ownAllowed: true }
  return {
    ...who,
    editable: [...(approval?.editable ?? [])],
    because: byRule ? 'rule' : 'untrusted',
    expiresAt: now + (approval?.expiresAfterMs ?? DEFAULT_EXPIRY_MS),
    decision: null,
    decidedBy: null,
    decidedAt: null,
  }
}

/** The same, to be decided anew. */
export function approvalAnew(approval: RunApproval, spec: ActionSpec, now: number): RunApproval {
  const expiresAt = now + (spec.approval?.expiresAfterMs ?? DEFAULT_EXPIRY_MS)
  return { ...approval, expiresAt, decision: null, decidedBy: null, decidedAt: null }
}

function isExempt(roles: readonly string[] | undefined, principal: Pick<Principal, 'roles'>): boolean {
  return roles?.some((role) => principal.roles.some((held) => held === role)) ?? false
}

/** Each of the named arguments has one of the named values; without names, every call is meant. */
function concerns(
  { when = {} }: NonNullable<ActionSpec['approval']>,
  args: Readonly<Record<string, unknown>>,
): boolean {
  return Object.entries(when).every(([path, values]) => {
    const given = valueAt(args, path.split('.'))
    return values.some((value) => JSON.stringify(value) === JSON.stringify(given))
  })
}

/** Undefined where the path leads nowhere; what every object inherits is nowhere. */
export function valueAt(value: unknown, path: readonly string[]): unknown {
  let found = value
  for (const name of path) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, name)) return undefined
    found = (found as Record<string, unknown>)[name]
  }
  return found
}
