import { type Static, Type } from 'typebox'
import { NAME_PATTERN } from '#config/document.ts'
import { instant, list, nullable, oneOf } from './schema-parts.ts'

/** The shapes of the native API: each once, for validation, static types and the OpenAPI document (by their titles). */

const Arm = oneOf('stable', 'canary')

export const ErrorReply = Type.Object(
  {
    error: Type.Object({
      code: Type.String({ description: 'One of the documented codes.' }),
      message: Type.String(),
      type: Type.String(),
      param: nullable(Type.String({ description: 'The parameter at fault, as a path.' })),
      request_id: nullable(Type.String()),
    }),
  },
  { title: 'Error' },
)

export const Capabilities = Type.Object(
  {
    version: Type.String(),
    apis: Type.Array(Type.Object({ name: oneOf('native', 'openai', 'websocket'), path: Type.String() })),
    streaming: Type.Array(oneOf('sse', 'websocket')),
    limits: Type.Object({
      bodyBytes: Type.Integer(),
      completionBodyBytes: Type.Integer({ description: 'The larger one of POST /v1/chat/completions.' }),
      messageBytes: Type.Integer(),
      headerBytes: Type.Integer(),
      headerCount: Type.Integer(),
      connections: Type.Integer(),
      headersTimeoutMs: Type.Integer(),
      requestTimeoutMs: Type.Integer(),
      keepAliveTimeoutMs: Type.Integer(),
      heartbeatMs: Type.Integer(),
      slowConsumerMs: Type.Integer(),
      websocket: Type.Object({
        connections: Type.Integer(),
        messageBytes: Type.Integer({ description: 'One message, its fragments joined.' }),
        callsPerSecond: Type.Integer(),
        callBurst: Type.Integer({ description: 'Calls at once after a pause.' }),
        callsPerBatch: Type.Integer(),
        turnsAtOnce: Type.Integer({ description: 'Turns whose events one connection gets at a time.' }),
        slowConsumerMs: Type.Integer(),
      }),
      runs: Type.Object({
        bodyBytes: Type.Integer({ description: 'A request that holds arguments.' }),
        argumentsDepth: Type.Integer({ description: 'Objects and arrays of arguments within one another.' }),
        reasonCharacters: Type.Integer({ description: 'Of a reason or a note.' }),
        waitMs: Type.Integer({ description: 'The longest wait that `prefer: wait` is granted.' }),
      }),
    }),
  },
  { title: 'Capabilities' },
)

export const Specialist = Type.Object(
  {
    id: Type.String(),
    title: Type.String(),
    description: nullable(Type.String()),
    capabilities: Type.Object({
      primary: list(Type.String()),
      scores: Type.Record(Type.String(), Type.Number()),
    }),
  },
  { title: 'Specialist' },
)
export type Specialist = Static<typeof Specialist>

export const SpecialistPage = Type.Object({ items: list(Specialist) }, { title: 'SpecialistPage' })

const Title = Type.String({ minLength: 1, maxLength: 200 })

export const NewConversation = Type.Object(
  { specialist: Type.String({ pattern: NAME_PATTERN }), title: Type.Optional(Title) },
  { additionalProperties: false, title: 'NewConversation' },
)

export const ConversationChange = Type.Object(
  { title: Title },
  { additionalProperties: false, title: 'ConversationChange' },
)

export const Conversation = Type.Object(
  {
    id: Type.String(),
    specialist: Type.String(),
    title: nullable(Type.String({ description: 'Given, or the beginning of the first message.' })),
    config: Type.String({ description: 'The config version it is pinned to.' }),
    arm: Arm,
    createdAt: instant('When it was created'),
    updatedAt: instant('When it was last active'),
    messages: Type.Integer({ description: 'How many messages are kept.' }),
    liveTurn: nullable(Type.String({ description: 'The turn that runs now.' })),
    version: Type.Integer({ description: 'Also its ETag.' }),
  },
  { title: 'Conversation' },
)

export const ConversationPage = Type.Object(
  { items: list(Conversation), next: nullable(Type.String({ description: 'The cursor of the next page.' })) },
  { title: 'ConversationPage' },
)

const CalledTool = Type.Object({ id: Type.String(), name: Type.String(), arguments: Type.String() })

const Message = Type.Object(
  {
    id: Type.String(),
    turn: Type.String(),
    role: oneOf('user', 'assistant', 'tool'),
    kind: Type.Optional(
      Type.Unsafe<'follow-up'>({
        type: 'string',
        enum: ['follow-up'],
        description: 'user: not said by the user; reports what came of the actions of an earlier turn.',
      }),
    ),
    content: Type.String(),
    toolCalls: Type.Optional(Type.Array(CalledTool)),
    callId: Type.Optional(Type.String({ description: 'tool: the call it answers.' })),
    complete: Type.Optional(
      Type.Boolean({ description: 'assistant: false when its turn ended before the answer did.' }),
    ),
    at: instant('When it was kept'),
  },
  { title: 'Message' },
)

export const MessagePage = Type.Object(
  { items: list(Message), next: nullable(Type.Integer({ description: 'The position to go on from.' })) },
  { title: 'MessagePage' },
)

export const NewTurn = Type.Object(
  { message: Type.String({ description: 'At most 131072 bytes of UTF-8, not only blanks.' }) },
  { additionalProperties: false, title: 'NewTurn' },
)

const Run = Type.Object({ id: Type.String(), action: Type.String(), status: Type.String() })

const Segment = Type.Object({
  step: Type.Integer(),
  model: Type.String(),
  provider: Type.String(),
  inputTokens: Type.Integer(),
  cachedTokens: Type.Integer(),
  outputTokens: Type.Integer(),
  costUsd: Type.Number(),
  estimated: Type.Boolean({ description: 'The tokens were counted by us, not by the provider.' }),
  outcome: oneOf('completed', 'failed', 'cancelled'),
  reason: Type.Optional(Type.String()),
  firstTokenMs: Type.Optional(Type.Number()),
  durationMs: Type.Number(),
})

const Receipt = Type.Object(
  {
    turn: Type.String(),
    conversation: nullable(Type.String()),
    specialist: Type.String(),
    config: Type.Object({ version: Type.String(), hash: Type.String(), arm: Arm }),
    segments: Type.Array(Segment),
    runs: Type.Array(Run),
    steps: Type.Integer(),
    inputTokens: Type.Integer(),
    outputTokens: Type.Integer(),
    costUsd: Type.Number(),
    compaction: Type.Optional(Type.Object({ omittedMessages: Type.Integer() })),
    startedAt: Type.String(),
    endedAt: Type.String(),
  },
  { title: 'Receipt' },
)

export const Feedback = Type.Object(
  { rating: oneOf('up', 'down'), comment: Type.Optional(Type.String({ maxLength: 4000 })) },
  { additionalProperties: false, title: 'Feedback' },
)

export const Turn = Type.Object(
  {
    id: Type.String(),
    conversation: nullable(Type.String()),
    specialist: Type.String(),
    config: Type.String(),
    arm: Arm,
    message: Type.String({ description: 'What the caller said; empty for a turn that stands alone.' }),
    status: oneOf('running', 'completed', 'failed', 'cancelled'),
    text: Type.String({ description: 'The visible text so far.' }),
    position: Type.Integer({ description: 'Of the last event.' }),
    receipt: nullable(Receipt),
    error: nullable(Type.Object({ code: Type.String(), message: Type.String() })),
    feedback: nullable(Type.Object(Feedback.properties)),
    toolCalls: list(CalledTool),
  },
  { title: 'Turn' },
)

export const TurnReference = Type.Object({ id: Type.String() }, { title: 'TurnReference' })

export const ModelState = Type.Object(
  {
    name: Type.String(),
    provider: Type.String(),
    circuit: oneOf('closed', 'open', 'half-open'),
    held: Type.Boolean({ description: 'An operator holds the circuit.' }),
    firstTokenMs: Type.Object({ p50: nullable(Type.Number()), p95: nullable(Type.Number()) }),
    calls: Type.Integer(),
    failures: Type.Integer(),
    failovers: Type.Integer({ description: 'Times another model had to take over from this one.' }),
    active: Type.Integer(),
    queued: Type.Integer(),
    lastFailure: nullable(Type.Object({ reason: Type.String(), at: instant('When') })),
    coolingUntil: nullable(instant('Until when a 429 keeps calls away')),
  },
  { title: 'ModelState' },
)
export type ModelState = Static<typeof ModelState>

export const ModelPage = Type.Object({ items: list(ModelState) }, { title: 'ModelPage' })

export const CircuitChange = Type.Object(
  { state: oneOf('open', 'closed', 'auto') },
  { additionalProperties: false, title: 'CircuitChange' },
)

export const Health = Type.Object(
  { status: oneOf('ok', 'unavailable'), reason: Type.Optional(Type.String()) },
  { title: 'Health' },
)

export const IdPath = Type.Object({ id: Type.String({ maxLength: 200 }) })
