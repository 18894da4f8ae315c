import { Type } from 'typebox'
import { runStatuses } from '#actions/port.ts'
import { NAME_PATTERN } from '#config/document.ts'
import { defaultLimits } from './limits.ts'
import { instant, list, nullable, oneOf } from './schema-parts.ts'

/** The shapes of actions and runs. */

const Arguments = Type.Record(Type.String(), Type.Unknown())
const Reason = Type.String({ minLength: 1, maxLength: defaultLimits.runs.reasonCharacters })
const Hash = Type.String({ pattern: '^[0-9a-f]{64}$' })
const Person = Type.Object({ id: Type.String(), name: Type.String() })
const ActionName = Type.String({ pattern: NAME_PATTERN })

const RunStatus = oneOf(...runStatuses)

const Action = Type.Object(
  {
    name: Type.String(),
    description: Type.String(),
    parameters: Type.Record(Type.String(), Type.Unknown(), { description: 'JSON Schema of its arguments.' }),
    access: oneOf('read', 'write'),
    effect: oneOf('idempotent', 'at-most-once'),
    order: oneOf('none', 'conversation'),
    approval: Type.Boolean({ description: 'Some calls of it need approval.' }),
    undo: Type.Boolean({ description: 'There is an action that undoes it.' }),
  },
  { title: 'Action' },
)

export const ActionPage = Type.Object({ items: list(Action) }, { title: 'ActionPage' })

export const NewRun = Type.Object(
  {
    arguments: Type.Record(Type.String(), Type.Unknown(), { description: 'As the parameters of the action have it.' }),
  },
  { additionalProperties: false, title: 'NewRun' },
)

const Approval = Type.Object({
  roles: list(Type.String({ description: 'Any one of them may decide.' })),
  ownAllowed: Type.Boolean({ description: 'Also for runs of one’s own.' }),
  expiresAt: instant('Until when'),
  editable: list(Type.String({ description: 'An argument that may be changed with the approval.' })),
  because: oneOf('rule', 'untrusted'),
  preview: Type.Unknown({ description: 'What would happen, as its target says; null where it does not.' }),
  decidedBy: nullable(Person),
  decidedAt: nullable(instant('When')),
  decision: nullable(oneOf('approved', 'rejected')),
})

const Attempt = Type.Object({
  number: Type.Integer(),
  startedAt: instant('When'),
  endedAt: nullable(instant('When')),
  outcome: nullable(oneOf('succeeded', 'failed', 'passing', 'lost')),
  reason: nullable(Type.String()),
})

export const Run = Type.Object(
  {
    id: Type.String(),
    action: Type.String(),
    status: RunStatus,
    version: Type.Integer({ description: 'Raised by each change; also its ETag.' }),
    revision: Type.Integer({ description: 'Raised by each edit of the arguments; 1 at first.' }),
    arguments: Arguments,
    argumentsHash: Type.String({ description: 'SHA-256, hexadecimal: what an approval names.' }),
    result: Type.Unknown({ description: 'What it answered, once succeeded.' }),
    resultLeftOut: Type.Boolean({
      description: 'In lists: it is larger than 16 KiB, and is shown with the run alone.',
    }),
    reason: nullable(Type.String({ description: 'Why it stands where it stands, as a stable code.' })),
    message: nullable(Type.String({ description: 'The same as a sentence.' })),
    owner: Person,
    specialist: nullable(Type.String()),
    conversation: nullable(Type.String()),
    turn: nullable(Type.String()),
    config: Type.String(),
    approval: nullable(Approval),
    attempts: list(Attempt),
    maxAttempts: Type.Integer(),
    blockedBy: nullable(Type.String({ description: 'The run of the conversation that it waits for.' })),
    undoes: nullable(Type.String({ description: 'The run that it undoes.' })),
    undoneBy: nullable(Type.String({ description: 'The run that undoes it, or is to.' })),
    createdAt: instant('When it was asked for'),
    updatedAt: instant('When it last changed'),
    settledAt: nullable(instant('When it was settled')),
    dueAt: nullable(instant('When it is tried again, or expires')),
  },
  { title: 'Run' },
)

export const RunPage = Type.Object(
  { items: list(Run), next: nullable(Type.String({ description: 'The cursor of the next page.' })) },
  { title: 'RunPage' },
)

export const RunQuery = Type.Object(
  {
    whose: Type.Optional(
      Type.Unsafe<'mine' | 'to-approve' | 'tenant'>({
        type: 'string',
        enum: ['mine', 'to-approve', 'tenant'],
        description: 'mine when not given; to-approve: those the caller may decide on; tenant: all, for Admin.',
      }),
    ),
    status: Type.Optional(RunStatus),
    action: Type.Optional(ActionName),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, description: '20 when not given.' })),
    cursor: Type.Optional(Type.String({ pattern: '^[\\x21-\\x7e]{1,500}$' })),
  },
  { additionalProperties: false },
)

export const RunApproval = Type.Object(
  {
    hash: Type.Unsafe<string>({ ...Hash, description: 'argumentsHash of the run that was looked at.' }),
    edited: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), { description: 'Editable arguments, as they shall be instead.' }),
    ),
  },
  { additionalProperties: false, title: 'RunApproval' },
)

export const RunRejection = Type.Object({ reason: Reason }, { additionalProperties: false, title: 'RunRejection' })

export const RunDiscard = Type.Object({ reason: Reason }, { additionalProperties: false, title: 'RunDiscard' })

export const RunSettlement = Type.Object(
  { status: oneOf('succeeded', 'failed'), note: Reason },
  { additionalProperties: false, title: 'RunSettlement' },
)

export const RunReplay = Type.Object(
  {
    action: Type.Optional(ActionName),
    reason: Type.Optional(Type.String({ pattern: '^[\\w.-]{1,100}$', description: 'The stable code.' })),
    limit: Type.Integer({ minimum: 1, maximum: 1000, description: 'How many at most.' }),
  },
  { additionalProperties: false, title: 'RunReplay' },
)

export const ReplayedRuns = Type.Object(
  {
    replayed: Type.Integer(),
    more: Type.Boolean({ description: 'There may be more that fit: ask again, and they are gone on with.' }),
  },
  { title: 'ReplayedRuns' },
)
