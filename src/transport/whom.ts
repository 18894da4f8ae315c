import type { FastifyContextConfig } from 'fastify'

/** Whom a route serves; what somebody may do beyond that depends on what it is done to, and is the domain's to say. */
export const whom = {
  /** Whoever can be told apart: what is shown belongs to the caller, or has rules of its own. */
  known: { roles: 'any' },
  chat: { roles: ['Chat.User', 'Admin'] },
  operators: { roles: ['Config.Operator', 'Admin'] },
  finance: { roles: ['Finance.Operator', 'Admin'] },
  privacyOfficers: { roles: ['Privacy.Officer', 'Admin'] },
  auditors: { roles: ['Privacy.Officer', 'Admin'] },
  admins: { roles: ['Admin'] },
  repairers: { roles: ['Action.Approver', 'Admin'] },
} as const satisfies Record<string, FastifyContextConfig>
