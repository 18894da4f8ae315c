import { type Static, type TSchema, Type } from 'typebox'

/**
 * The shapes of the OpenAI-compatible surface, as far as we look. What is not named here belongs to the model's provider and
 * reaches it untouched.
 */

/** OpenAI's clients send null for what they leave out. */
const optional = <Schema extends TSchema>(schema: Schema, description?: string) =>
  Type.Optional(Type.Union([schema, Type.Null()], description === undefined ? {} : { description }))
const oneOf = <const Values extends readonly string[]>(...values: Values) =>
  Type.Unsafe<Values[number]>({ type: 'string', enum: values })
const Fields = Type.Record(Type.String(), Type.Unknown())

const Part = Type.Object({ type: Type.String() }, { description: 'Text, an image, audio, a file, …' })

const ToolCall = Type.Object({ id: Type.String({ minLength: 1 }), type: Type.Optional(Type.String()) })

const CompletionMessage = Type.Object(
  {
    role: oneOf('system', 'developer', 'user', 'assistant', 'tool'),
    content: Type.Optional(Type.Union([Type.String(), Type.Array(Part), Type.Null()])),
    name: optional(Type.String()),
    tool_calls: optional(Type.Array(ToolCall), 'assistant: the calls it asked for.'),
    tool_call_id: optional(Type.String(), 'tool: the call it answers.'),
  },
  { title: 'ChatCompletionMessage' },
)

export const CompletionRequest = Type.Object(
  {
    model: Type.String({ minLength: 1, description: 'A specialist or a route; `GET /v1/models` lists them.' }),
    messages: Type.Array(CompletionMessage, { minItems: 1, maxItems: 2048 }),
    stream: optional(Type.Boolean()),
    stream_options: optional(Type.Object({ include_usage: optional(Type.Boolean()) })),
    n: optional(Type.Integer({ minimum: 1 }), 'Only 1 is served.'),
    tools: optional(Type.Array(Fields)),
    tool_choice: optional(Type.Union([Type.String(), Fields])),
    parallel_tool_calls: optional(Type.Boolean()),
    response_format: optional(Fields),
    max_tokens: optional(Type.Integer()),
    max_completion_tokens: optional(Type.Integer()),
    temperature: optional(Type.Number()),
    top_p: optional(Type.Number()),
    frequency_penalty: optional(Type.Number()),
    presence_penalty: optional(Type.Number()),
    logit_bias: optional(Type.Record(Type.String(), Type.Number())),
    logprobs: optional(Type.Boolean()),
    top_logprobs: optional(Type.Integer()),
    seed: optional(Type.Integer()),
    stop: optional(Type.Union([Type.String(), Type.Array(Type.String())])),
    user: optional(Type.String()),
    metadata: optional(Fields),
  },
  {
    title: 'ChatCompletionRequest',
    description:
      'Further parameters reach the provider untouched, but for what says who asks or what is to be kept: user, safety_identifier, prompt_cache_key, metadata, store.',
  },
)
export type CompletionRequest = Static<typeof CompletionRequest>

const Usage = Type.Object(
  {
    prompt_tokens: Type.Integer(),
    completion_tokens: Type.Integer(),
    total_tokens: Type.Integer(),
    prompt_tokens_details: Type.Object({ cached_tokens: Type.Integer() }),
  },
  { title: 'CompletionUsage', description: 'Of all models that worked on the answer, those that failed included.' },
)
export type Usage = Static<typeof Usage>

/** What OpenAI has no word for. */
const Failovers = Type.Object(
  {
    failovers: Type.Array(Type.Object({ model: Type.String(), reason: Type.String() }), {
      description: 'The models that failed before or within the answer, in order.',
    }),
    cost_usd: Type.Number(),
  },
  { title: 'CompletionFailovers', description: 'Present when another model had to take over.' },
)
export type Failovers = Static<typeof Failovers>

export const Completion = Type.Object(
  {
    id: Type.String(),
    object: oneOf('chat.completion'),
    created: Type.Integer({ description: 'Seconds since the epoch.' }),
    model: Type.String(),
    choices: Type.Array(
      Type.Object({
        index: Type.Integer(),
        message: Fields,
        logprobs: Type.Union([Fields, Type.Null()]),
        finish_reason: Type.String(),
      }),
    ),
    usage: Usage,
    parley: Type.Optional(Failovers),
  },
  { title: 'ChatCompletion' },
)

export const CompletionModel = Type.Object(
  {
    id: Type.String(),
    object: oneOf('model'),
    created: Type.Integer(),
    owned_by: Type.String(),
    parley: Type.Object({
      kind: oneOf('specialist', 'route'),
      config: Type.String({ description: 'The config version that offers it.' }),
    }),
  },
  { title: 'CompletionModel' },
)
export type CompletionModel = Static<typeof CompletionModel>

export const CompletionModelList = Type.Object(
  { object: oneOf('list'), data: Type.Array(CompletionModel) },
  { title: 'CompletionModelList' },
)
