import { ParleyError } from '#errors.ts'
import { partitionOf } from '#identity/principal.ts'
import type { Spender } from '../ledger.ts'

const SCOPE = /^(?:tenant:([\w.-]{1,128})|(user|group):([\w.-]{1,128}):([\w.-]{1,128}))$/

export function tenantOf(scope: string): string {
  return parse(scope).tenant
}

/** As the ledger names who spends. Throws invalid_request. */
export function spenderOf(scope: string): { tenant: string; whose: Spender } {
  const { tenant, kind, id } = parse(scope)
  if (kind === 'group') return { tenant, whose: { group: id } }
  return { tenant, whose: kind === 'user' ? { user: partitionOf({ tenant, id }) } : {} }
}

function parse(scope: string) {
  const [, alone, kind, tenant = alone, id = ''] = SCOPE.exec(scope) ?? []
  if (tenant !== undefined) return { tenant, kind, id }
  throw new ParleyError('invalid_request', {
    message: 'A scope is tenant:<tenant>, group:<tenant>:<id> or user:<tenant>:<id>.',
    param: 'scope',
  })
}
