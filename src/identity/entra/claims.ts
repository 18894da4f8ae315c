import type { JWTPayload } from 'jose'
import { ParleyError } from '#errors.ts'
import { type Principal, type Role, roles } from '../principal.ts'

/** What an access token has to say to be one for us, beyond its signature and times. */
export interface ClaimRules {
  /** The tenant that operates. */
  tenant: string
  /** The delegated permission that a client needs to call for a user. */
  scope: string
}

/** Of a tenant that is a guest here: what its administrator hands out counts for nothing. */
const HOME_ROLES: ReadonlySet<Role> = new Set(['Config.Operator', 'Finance.Operator', 'Admin'])
const ID = /^[\w.-]{1,128}$/
const MAX_GROUPS = 200

/**
 * The principal of a verified token, of Entra's v1 or v2. Access tokens name the client that asked for them (`appid`, `azp`), which ID
 * tokens do not: those, and any with a `nonce`, are no proof of anything here. Throws unauthenticated, or forbidden where the
 * client may not call for users.
 */
export function principalOfClaims(claims: JWTPayload, { tenant, scope }: ClaimRules): Principal {
  const { tid, oid, azp, appid, nonce, scp } = claims
  if (typeof tid !== 'string' || typeof oid !== 'string' || !ID.test(tid) || !ID.test(oid)) throw refused()
  const client = azp ?? appid
  if (typeof client !== 'string' || nonce !== undefined) throw refused()
  const scopes = typeof scp === 'string' ? scp.split(' ').filter(Boolean) : []
  const isService = scopes.length === 0
  if (isService && !isForItself(claims)) throw refused()
  if (!isService && !scopes.includes(scope)) {
    throw new ParleyError('forbidden', { message: `The client has no permission to call for users (scope ${scope}).` })
  }
  return {
    tenant: tid,
    id: oid,
    name: nameOf(claims) ?? oid,
    kind: isService ? 'service' : 'user',
    roles: rolesOf(claims.roles).filter((role) => tid === tenant || !HOME_ROLES.has(role)),
    scopes,
    client,
    ...groupsOf(claims),
  }
}

/** Beyond two hundred groups Entra names none, and says where they could be asked for instead. */
function groupsOf({
  groups,
  hasgroups,
  _claim_names: elsewhere,
}: JWTPayload): Pick<Principal, 'groups' | 'groupsAmong'> {
  const isElsewhere = typeof elsewhere === 'object' && elsewhere !== null && 'groups' in elsewhere
  const named = Array.isArray(groups) ? groups.filter(isText) : undefined
  if (hasgroups === true || hasgroups === 'true' || isElsewhere || (named && named.length > MAX_GROUPS)) {
    return { groups: [], groupsAmong: [] }
  }
  return named ? { groups: named } : {}
}

/** What an application got for itself, by its own credentials: its subject is the application. */
function isForItself({ idtyp, sub, oid }: JWTPayload): boolean {
  return idtyp === 'app' || (idtyp === undefined && sub === oid)
}

function nameOf({ name, preferred_username, upn, app_displayname }: JWTPayload): string | undefined {
  return [name, preferred_username, upn, app_displayname].filter(isText).find(Boolean)?.slice(0, 200)
}

function rolesOf(given: unknown): Role[] {
  return Array.isArray(given) ? roles.filter((role) => given.includes(role)) : []
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

function refused(): ParleyError {
  return new ParleyError('unauthenticated', {
    message: 'The token is not an access token of a user or an application.',
  })
}
