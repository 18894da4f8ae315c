import type { Statement } from './exchange.ts'
import type { Scope } from './sql.ts'

/** Role and tenant until the end of the transaction, so that nothing is left on the connection for whoever has it next. */
export function enter(scope: Scope): Statement {
  if (scope === 'system') return { text: enterText, values: ['parley_system', ''] }
  // The policies would show no row; whoever passes it has forgotten something.
  if (scope.tenant === '') throw new RangeError('a tenant has a name')
  return { text: enterText, values: ['parley_tenant', scope.tenant] }
}

const enterText = "SELECT set_config('role', $1, true), set_config('parley.tenant', $2, true)"
