import { Type } from 'typebox'
import { judgedBy } from '#config/rollouts.ts'
import { defaultLimits } from './limits.ts'
import { ErrorReply } from './schema.ts'
import { instant, list, nullable, oneOf } from './schema-parts.ts'

/** The shapes of a rollout. */

const Metric = oneOf(...judgedBy)
const VersionRef = Type.Object({ version: Type.String(), hash: Type.String() })
const Step = Type.Object({
  weight: Type.Number({ description: 'Percent of new conversations.' }),
  conversations: Type.Integer({ description: 'Trials before the next step may come.' }),
})
const Quantiles = Type.Object({ p50: Type.Number(), p90: Type.Number() })

const Baseline = Type.Object(
  {
    trials: Type.Integer(),
    errorRate: Type.Number(),
    firstTokenMs: Quantiles,
    costUsd: Quantiles,
  },
  { description: 'What stable was like when it began.' },
)

const LiveRollout = Type.Object({
  id: Type.String(),
  candidate: VersionRef,
  status: oneOf('canary', 'paused', 'baking'),
  paused: nullable(
    Type.Object({
      from: oneOf('canary', 'baking'),
      cause: oneOf('operator', 'inconclusive', 'incomparable', 'counters-lost'),
      reason: Type.String(),
      at: instant('Since when'),
    }),
  ),
  step: Type.Integer({ description: 'Counted from 0.' }),
  steps: list(Step),
  bakeMs: Type.Integer(),
  waived: list(Metric),
  baseline: nullable(Baseline),
  startedAt: instant('When it began'),
  startedBy: Type.String(),
  since: instant('When the present status, of the present step, began'),
})

const FinishedRollout = Type.Object({
  id: Type.String(),
  candidate: VersionRef,
  stable: VersionRef,
  outcome: oneOf('stable', 'rolled-back'),
  reason: Type.String(),
  startedAt: instant('When it began'),
  endedAt: instant('When it ended'),
})

const Figures = Type.Object({
  trials: Type.Object({
    canary: Type.Integer(),
    control: Type.Integer(),
    needed: Type.Integer(),
    errors: Type.Integer(),
  }),
  advance: Type.Object({
    e: Type.Number({ description: 'Evidence that the canary stays below the rate; it advances at `needed`.' }),
    needed: Type.Number(),
    rate: Type.Number({ description: 'Of errors, that must not be reached.' }),
  }),
  metrics: list(
    Type.Object({
      metric: Metric,
      canary: Type.Integer({ description: 'Conversations of the canary that were bad.' }),
      control: Type.Integer(),
      e: Type.Number({ description: 'Evidence against the canary; it is rolled back at `threshold`.' }),
      threshold: Type.Number(),
      waived: Type.Boolean(),
    }),
  ),
  baseline: nullable(Baseline),
})

const Rollout = Type.Object(
  {
    etag: Type.String({ description: 'What `If-Match` names.' }),
    epoch: Type.Integer({ description: 'Raised by each transition.' }),
    stable: VersionRef,
    live: nullable(LiveRollout),
    verdict: Type.Object({
      decision: oneOf('advance', 'hold', 'pause', 'roll-back'),
      sentence: Type.String(),
    }),
    figures: nullable(Figures),
    waiting: list(Type.Object({ version: Type.String(), reason: Type.String() })),
    finished: list(FinishedRollout),
    leader: Type.Boolean({ description: 'This replica advances it; any replica rolls back.' }),
    reachable: Type.Boolean({ description: 'The store that holds the state can be reached.' }),
    unreadable: Type.Boolean({
      description: 'What the store has is no state: what was known last is served, until an operator restores it.',
    }),
    diverged: nullable(
      Type.Object(
        {
          epoch: Type.Integer(),
          at: instant('When it was written'),
          stable: VersionRef,
          candidate: nullable(VersionRef),
        },
        {
          description:
            'What the store has where it does not follow from what is known: an older state, put back by hand, or another of the same epoch. What is known is served, until an operator restores it or takes this one.',
        },
      ),
    ),
  },
  { title: 'Rollout' },
)

const Transition = Type.Object({
  epoch: Type.Integer(),
  at: instant('When'),
  rollout: nullable(Type.String()),
  candidate: nullable(Type.String()),
  from: Type.String(),
  to: Type.String(),
  by: Type.String({ description: '`system`, or the name of the operator.' }),
  operator: nullable(Type.String({ description: 'The id of the operator.' })),
  reason: Type.String(),
  evidence: Type.Unknown({
    description: 'What it was decided on: counts and E per metric; null where nothing was counted.',
  }),
})

export const RolloutHistory = Type.Object({ items: list(Transition) }, { title: 'RolloutHistory' })

export const HistoryQuery = Type.Object(
  { limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200, description: '20 when not given.' })) },
  { additionalProperties: false },
)

export const RolloutStart = Type.Object(
  {
    version: Type.String({ minLength: 1, maxLength: 200 }),
    waive: Type.Optional(
      Type.Array(Metric, {
        uniqueItems: true,
        description: 'Metrics it is not judged by; this is kept in the history.',
      }),
    ),
  },
  { additionalProperties: false, title: 'RolloutStart' },
)

const reason = Type.Optional(Type.String({ minLength: 1, maxLength: defaultLimits.runs.reasonCharacters }))

export const RolloutDecision = Type.Object({ reason }, { additionalProperties: false, title: 'RolloutDecision' })

export const RolloutRestore = Type.Object(
  {
    reason,
    take: Type.Optional(
      Type.Integer({
        minimum: 1,
        description: 'The epoch of `diverged`: what the store has is taken, in the place of what is known.',
      }),
    ),
  },
  { additionalProperties: false, title: 'RolloutRestore' },
)

export const StateToMatch = Type.Object({
  'if-match': Type.Optional(Type.String({ description: 'The ETag of the state that was looked at; required.' })),
})

const etagHeader = { etag: { type: 'string', description: 'Of the state; what `If-Match` names.' } }

export const rolloutReply = {
  description: 'The rollout as this replica knows it.',
  headers: etagHeader,
  content: { 'application/json': { schema: Rollout } },
}

/** To the one who came second: the one shape of errors, and how things stand now. */
export const rolloutConflict = {
  description: 'Somebody was faster; this is the present state.',
  headers: etagHeader,
  content: {
    'application/json': {
      schema: Type.Object({ ...ErrorReply.properties, rollout: Rollout }, { title: 'RolloutConflict' }),
    },
  },
}

export const rolloutStreamReply = {
  description: 'The rollout now, and at each change of its state or of its verdict.',
  content: {
    'text/event-stream': {
      schema: Type.String({
        description:
          '`event` is rollout, `data` is the rollout; or notice with {code, message}, when the stream ends early.',
      }),
    },
  },
}
