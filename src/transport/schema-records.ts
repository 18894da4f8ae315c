import { Type } from 'typebox'
import { auditKinds } from '#governance/audit.ts'
import { instant, list, nullable, oneOf } from './schema-parts.ts'

/** The shapes of what was spent and of the audit log. */

const figures = {
  calls: Type.Integer({ description: 'Of models, failed and cancelled ones too.' }),
  inputTokens: Type.Integer(),
  outputTokens: Type.Integer(),
  costUsd: Type.Number(),
}

export const UsageQuery = Type.Object(
  {
    month: Type.Optional(
      Type.String({ pattern: '^[0-9]{4}-(0[1-9]|1[0-2])$', description: 'By UTC; the present one when left out.' }),
    ),
    whose: Type.Optional(oneOf('mine', 'tenant')),
    format: Type.Optional(oneOf('json', 'csv')),
  },
  { additionalProperties: false },
)

const Usage = Type.Object(
  {
    month: Type.String(),
    whose: oneOf('mine', 'tenant'),
    total: Type.Object(figures),
    items: list(
      Type.Object({
        day: Type.String({ description: 'By UTC.' }),
        specialist: Type.String(),
        model: Type.String(),
        ...figures,
        shadow: Type.Optional(
          Type.Literal(true, { description: 'Of copies in the shadow, which no budget but their own pays.' }),
        ),
      }),
    ),
  },
  { title: 'Usage' },
)

export const usageReply = {
  description: 'Sums by day, specialist and model; or, as CSV, every call of a model in the tenant.',
  content: {
    'application/json': { schema: Usage },
    'text/csv': {
      schema: Type.String({
        description:
          'With a heading: at, user, groups, specialist, config, arm, model, turn, segment, outcome, estimated, input_tokens, output_tokens, cost_usd. Users are pseudonyms.',
      }),
    },
  },
}

const Hash = Type.String({ description: 'SHA-256, hexadecimal.' })
const Seq = Type.Integer({ description: 'Counted from 1 in each tenant, without gaps.' })

export const AuditQuery = Type.Object(
  {
    kind: Type.Optional(oneOf(...auditKinds)),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200, description: 'Default 50.' })),
    cursor: Type.Optional(Type.Integer({ minimum: 1, description: '`next` of the page before.' })),
  },
  { additionalProperties: false },
)

export const AuditPage = Type.Object(
  {
    items: list(
      Type.Object({
        seq: Seq,
        id: Type.String(),
        tenant: Type.String(),
        at: instant('When it was done'),
        kind: oneOf(...auditKinds),
        actor: nullable(
          Type.String({ description: 'A pseudonym; null for the process itself, or who could not be told.' }),
        ),
        subject: nullable(Type.String()),
        details: Type.Unsafe<Readonly<Record<string, string | number | boolean | null>>>({ type: 'object' }),
        hash: Hash,
      }),
    ),
    next: nullable(Type.Integer()),
  },
  { title: 'AuditPage' },
)

export const VerifyQuery = Type.Object(
  {
    seen: Type.Optional(
      Type.String({
        pattern: '^[0-9]{1,15}:[0-9a-f]{64}$',
        description: '`seq:hash` of an entry as it was seen before; it has to be there still.',
      }),
    ),
  },
  { additionalProperties: false },
)

export const AuditVerdict = Type.Object(
  {
    intact: Type.Boolean(),
    entries: Type.Integer({ description: 'How many were read.' }),
    from: nullable(
      Type.Object(
        { seq: Seq, hash: Hash },
        { description: 'What the first of them goes on from, where what was before is past its time.' },
      ),
    ),
    head: nullable(Type.Object({ seq: Seq, hash: Hash })),
    broken: nullable(
      Type.Object({
        seq: Seq,
        because: oneOf('missing', 'changed', 'cut-off', 'added-past-head', 'not-as-seen', 'past-its-time'),
      }),
    ),
  },
  { title: 'AuditVerdict' },
)
