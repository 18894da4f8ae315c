import { ParleyError } from '#errors.ts'
import { idAsInTokens, partitionOf } from '#identity/principal.ts'
import type { Spender } from '../ledger.ts'

const SCOPE = /^(?:tenant:([\w.-]{1,128})|(user|group|key):([\w.-]{1,128}):([\w.-]{1,128}))$/

export function tenantOf(scope: string): string {
  return parse(scope).tenant
}

/** What operators set, with ids as tokens have them: a key's own budget is made with it. Throws invalid_request. */
export function settable(scope: string): string {
  if (parse(scope).kind === 'key') throw refused()
  return scope.split(':').map(idAsInTokens).join(':')
}

/** As the ledger names who spends. Throws invalid_request. */
export function spenderOf(scope: string): { tenant: string; whose: Spender } {
  const { tenant, kind, id } = parse(scope)
  if (kind === 'group') return { tenant, whose: { group: id } }
  // A key is somebody of its own.
  const isOne = kind === 'user' || kind === 'key'
  return { tenant, whose: isOne ? { user: partitionOf({ tenant, id }) } : {} }
}

/** The scope as others may see it: a person, or a key, by pseudonym. */
export function pseudonymOf(scope: string): string {
  const { tenant, kind, id } = parse(scope)
  return kind === 'user' || kind === 'key' ? `${kind}:${tenant}:${partitionOf({ tenant, id })}` : scope
}

function parse(scope: string) {
  const [, alone, kind, tenant = alone, id = ''] = SCOPE.exec(scope) ?? []
  if (tenant !== undefined) return { tenant, kind, id }
  throw refused()
}

function refused(): ParleyError {
  return new ParleyError('invalid_request', {
    message: 'A scope is tenant:<tenant>, group:<tenant>:<id> or user:<tenant>:<id>.',
    param: 'scope',
  })
}
