import { type Static, Type } from 'typebox'

/** USD per million tokens. `cachedInput` falls back to `input`. */
const Price = Type.Object(
  {
    input: Type.Number({ minimum: 0 }),
    output: Type.Number({ minimum: 0 }),
    cachedInput: Type.Optional(Type.Number({ minimum: 0 })),
  },
  { additionalProperties: false },
)

/**
 * A deployment of a provider, as a config version names it. Addresses and secrets come from the environment, except
 * `baseUrl`, whose host the environment must permit.
 */
export const ModelSpec = Type.Object(
  {
    provider: Type.Union([
      Type.Literal('azure-openai'),
      Type.Literal('openai'),
      Type.Literal('openai-compatible'),
      Type.Literal('offline'),
    ]),
    /** azure-openai: the deployment's name. */
    deployment: Type.Optional(Type.String({ minLength: 1, maxLength: 128 })),
    /** openai, openai-compatible: the model's name. */
    model: Type.Optional(Type.String({ minLength: 1, maxLength: 128 })),
    /** openai-compatible: instead of OPENAI_BASE_URL. */
    baseUrl: Type.Optional(Type.String({ format: 'uri', maxLength: 2048 })),
    /** Tokens, prompt and answer together. */
    contextWindow: Type.Integer({ minimum: 256, maximum: 10_000_000 }),
    /** Tokens kept free for the answer when a history is fitted to the window. */
    maxOutput: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
    /** Whether it can be given tools. Default true. */
    tools: Type.Optional(Type.Boolean({ description: 'Whether it can be given tools. Default true.' })),
    /** What it wants of the reasoning in a history, which keeps none. Default ignored. */
    reasoningHistory: Type.Optional(
      Type.Union([Type.Literal('ignored'), Type.Literal('required')], {
        description: 'required: it refuses a history without the reasoning behind its calls of tools. Default ignored.',
      }),
    ),
    /** How it takes over a text that another model began. */
    continuation: Type.Union([Type.Literal('prefill'), Type.Literal('instructed'), Type.Literal('restart')]),
    price: Price,
    /** Calls to this deployment at once, per replica; more wait, and tenants take turns. */
    concurrency: Type.Optional(Type.Integer({ minimum: 1, maximum: 100_000 })),
    /** How many calls may wait. Default 1000. */
    queue: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 100_000, description: 'How many calls may wait. Default 1000.' }),
    ),
    /** offline: tokens per second. */
    pace: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 1_000_000 })),
    /** Whether the provider is told who asks: a hash of tenant and id, which names nobody. Default: it is not. */
    endUser: Type.Optional(
      Type.Literal('pseudonym', {
        description:
          'Tells the provider a pseudonym of who asks, as `user` or, at OpenAI, `safety_identifier`. Default: nothing of who asks.',
      }),
    ),
    /** Merged into the body of each call, for parameters that only this deployment wants. */
    extraBody: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  },
  { additionalProperties: false },
)
export type ModelSpec = Static<typeof ModelSpec>

/** An ordered list of models that may answer, and how long each may take. */
export const RouteSpec = Type.Object(
  {
    models: Type.Array(Type.String(), { minItems: 1, maxItems: 16, uniqueItems: true }),
    /** Until the response's headers. Default 5000. */
    connectTimeoutMs: Type.Optional(Type.Integer({ minimum: 1, maximum: 600_000 })),
    /** From the start of the call to its first content. Default 20000. */
    firstTokenTimeoutMs: Type.Optional(Type.Integer({ minimum: 1, maximum: 600_000 })),
    /** Longest pause between two pieces of content; keep-alives do not count. Default 20000. */
    stallTimeoutMs: Type.Optional(Type.Integer({ minimum: 1, maximum: 600_000 })),
  },
  { additionalProperties: false },
)
export type RouteSpec = Static<typeof RouteSpec>
