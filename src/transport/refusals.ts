import type { FastifyInstance } from 'fastify'
import { type ErrorCode, ParleyError } from '#errors.ts'
import type { Principal } from '#identity/principal.ts'

/** A request that was refused for who asked, or for what is not theirs. */
export interface Refused {
  code: ErrorCode
  param: string | null
  /** Null where nobody could tell. */
  principal: Principal | null
}

const told: ReadonlySet<ErrorCode> = new Set([
  'unauthenticated',
  'forbidden',
  'cross_site',
  'key_scope',
  'key_not_found',
  'conversation_not_found',
  'turn_not_found',
  'run_not_found',
])

/** Tells of refusals on all routes. */
export function tellRefusals(server: FastifyInstance, tell: (refused: Refused) => void): void {
  server.addHook('onError', (request, _reply, error, done) => {
    if (error instanceof ParleyError && told.has(error.code)) {
      tell({ code: error.code, param: error.param ?? null, principal: request.principal })
    }
    done()
  })
}
