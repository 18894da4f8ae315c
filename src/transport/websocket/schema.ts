import { Type } from 'typebox'
import { RunApproval, RunRejection } from '../schema-runs.ts'

const TurnId = Type.String({ maxLength: 200 })

export const ChatParams = Type.Object(
  {
    message: Type.String(),
    conversation: Type.Optional(Type.String({ maxLength: 200 })),
    idempotencyKey: Type.Optional(Type.String({ pattern: '^[\\x20-\\x7e]{1,255}$' })),
  },
  { additionalProperties: false },
)

/** Goes on after a position or after the event with an id; from the start without either. */
export const ResumeParams = Type.Object(
  {
    turn: TurnId,
    after: Type.Optional(Type.Integer({ minimum: -1, maximum: Number.MAX_SAFE_INTEGER })),
    lastEventId: Type.Optional(Type.String()),
  },
  { additionalProperties: false },
)

export const CancelParams = Type.Object({ turn: TurnId }, { additionalProperties: false })

const run = Type.String({ maxLength: 200 })

export const ApproveParams = Type.Object({ run, ...RunApproval.properties }, { additionalProperties: false })

export const RejectParams = Type.Object({ run, ...RunRejection.properties }, { additionalProperties: false })
