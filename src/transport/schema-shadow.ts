import { Type } from 'typebox'
import { defaultLimits } from './limits.ts'
import { ErrorReply } from './schema.ts'
import { instant, list, nullable, oneOf } from './schema-parts.ts'

/** The shapes of what is tried in the shadow. */

const Counts = (description: string) =>
  Type.Unsafe<Readonly<Record<string, number>>>(Type.Record(Type.String(), Type.Integer(), { description }))

const LiveShadow = Type.Object({
  id: Type.String(),
  version: Type.String(),
  hash: Type.String(),
  share: Type.Number({ description: 'Percent of turns that are copied.' }),
  budgetUsd: Type.Number({ description: 'What all copies together may cost.' }),
  turns: Type.Integer({ description: 'How many copies are made at most.' }),
  startedAt: instant('When it began'),
  startedBy: Type.String(),
  until: instant('When it ends by itself'),
})

const FinishedShadow = Type.Object({
  ...LiveShadow.properties,
  endedAt: instant('When it ended'),
  ended: oneOf('turns', 'budget', 'time', 'stopped'),
  reason: Type.String(),
})

const Side = Type.Object({
  finishes: Counts('How answers ended, in numbers of turns.'),
  failures: Counts('Turns without an answer, by error code.'),
  characters: Type.Number({ description: 'Mean of a turn.' }),
  inputTokens: Type.Number({ description: 'Mean of a turn.' }),
  outputTokens: Type.Number({ description: 'Mean of a turn.' }),
  costUsd: Type.Number({ description: 'Mean of a turn.' }),
  firstTokenMs: nullable(Type.Object({ p50: Type.Number(), p90: Type.Number() })),
})

const Calls = Type.Object({
  calls: Type.Integer(),
  outcomes: Counts('`would-run`, `needs-approval`, or why they are refused.'),
  arguments: Counts('How often each argument that the action declares was given.'),
})

const Comparison = Type.Object(
  {
    shadow: Type.String(),
    version: Type.String(),
    turns: Type.Object({
      taken: Type.Integer({ description: 'Copies begun.' }),
      compared: Type.Integer(),
      lost: Type.Integer({ description: 'Copies whose replica never told what they came to.' }),
    }),
    costUsd: Type.Object({
      spent: Type.Number(),
      held: Type.Number({ description: 'The most that copies under way may come to.' }),
    }),
    skipped: Counts('Turns that were drawn and not copied, by reason.'),
    overlap: nullable(
      Type.Number({ description: 'Mean share of words that both answers have, where both said something; 0 to 1.' }),
    ),
    served: Side,
    shadowed: Side,
    actions: list(Type.Object({ action: Type.String(), served: Calls, shadowed: Calls })),
  },
  { description: 'Both sides are of the same turns, each of its first step. Figures alone.' },
)

const Shadow = Type.Object(
  {
    etag: Type.String({ description: 'What `If-Match` names.' }),
    live: nullable(LiveShadow),
    finished: list(FinishedShadow),
    comparison: nullable(Comparison),
    limits: Type.Object(
      { budgetUsd: Type.Number(), turns: Type.Integer() },
      { description: 'The most that the environment permits.' },
    ),
  },
  { title: 'Shadow' },
)

export const ShadowStart = Type.Object(
  {
    version: Type.String({ minLength: 1, maxLength: 200 }),
    share: Type.Number({ exclusiveMinimum: 0, maximum: 100, description: 'Percent of turns that are copied.' }),
    budgetUsd: Type.Number({ exclusiveMinimum: 0, description: 'What all copies together may cost.' }),
    turns: Type.Integer({ minimum: 1, description: 'How many copies are made at most.' }),
  },
  { additionalProperties: false, title: 'ShadowStart' },
)

export const ShadowStop = Type.Object(
  { reason: Type.Optional(Type.String({ minLength: 1, maxLength: defaultLimits.runs.reasonCharacters })) },
  { additionalProperties: false, title: 'ShadowStop' },
)

const headers = { etag: { type: 'string', description: 'Of what is tried; what `If-Match` names.' } }

export const shadowReply = {
  description: 'What is tried in the shadow, and what it came to so far.',
  headers,
  content: { 'application/json': { schema: Shadow } },
}

/** To the one who came second: the one shape of errors, and how things stand now. */
export const shadowConflict = {
  description: 'Somebody was faster; this is how things stand.',
  headers,
  content: {
    'application/json': {
      schema: Type.Object({ ...ErrorReply.properties, shadow: Shadow }, { title: 'ShadowConflict' }),
    },
  },
}
