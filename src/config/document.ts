import { type Static, Type } from 'typebox'
import { ModelSpec, RouteSpec } from '#models/schema.ts'
import { ActionSpec, McpServerSpec, OpenApiSpec } from './action-spec.ts'

/** The name of a model, route, specialist or action: what providers accept as the name of a function. */
export const NAME_PATTERN = '^[a-zA-Z][a-zA-Z0-9_-]{0,63}$'

type Schema = Parameters<typeof Type.Record>[1]

function named<T extends Schema>(value: T, maxProperties: number, description: string) {
  const name = Type.String({ pattern: NAME_PATTERN })
  return Type.Record(name, value, { maxProperties, additionalProperties: false, description })
}

export const SpecialistSpec = Type.Object(
  {
    title: Type.String({ minLength: 1, maxLength: 200 }),
    description: Type.Optional(Type.String({ maxLength: 2000, description: 'For people who choose a specialist.' })),
    instructions: Type.String({ minLength: 1, maxLength: 100_000, description: 'What the model is told first.' }),
    route: Type.String({ description: 'The name of a route.' }),
    actions: Type.Optional(
      Type.Array(Type.String(), {
        maxItems: 128,
        uniqueItems: true,
        description: 'Names of the actions that it may call.',
      }),
    ),
    capabilities: Type.Optional(
      Type.Object(
        {
          primary: Type.Optional(Type.Array(Type.String({ maxLength: 64 }), { maxItems: 32 })),
          scores: Type.Optional(Type.Record(Type.String(), Type.Number({ minimum: 0, maximum: 1 }))),
        },
        { additionalProperties: false },
      ),
    ),
  },
  { additionalProperties: false },
)
export type SpecialistSpec = Static<typeof SpecialistSpec>

const RolloutSpec = Type.Object(
  {
    steps: Type.Optional(
      Type.Array(
        Type.Object(
          {
            weight: Type.Number({
              exclusiveMinimum: 0,
              exclusiveMaximum: 100,
              description: 'Percent of new conversations.',
            }),
            conversations: Type.Integer({
              minimum: 1,
              maximum: 1_000_000,
              description: 'Trials before the next step.',
            }),
          },
          { additionalProperties: false },
        ),
        { maxItems: 20, description: 'Weights rise. Left out: those that the environment asks for.' },
      ),
    ),
    bakeMs: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 604_800_000,
        description: 'How long the last step is watched before it is stable.',
      }),
    ),
  },
  { additionalProperties: false, description: 'How this version is rolled out; the environment may ask for more.' },
)
export type RolloutSpec = Static<typeof RolloutSpec>

/** A config version's document, as it is written in YAML or JSON. Published as `docs/config.schema.json`. */
export const ConfigDocument = Type.Object(
  {
    description: Type.String({ minLength: 1, maxLength: 1000, description: 'What this version is for, or changes.' }),
    models: named(ModelSpec, 100, 'Deployments of providers.'),
    routes: named(RouteSpec, 100, 'Ordered lists of models that may answer.'),
    specialists: named(SpecialistSpec, 500, 'Assistants that people talk to.'),
    actions: Type.Optional(named(ActionSpec, 500, 'Functions that models may call.')),
    mcpServers: Type.Optional(named(McpServerSpec, 50, 'Model Context Protocol servers whose tools are actions.')),
    openapi: Type.Optional(named(OpenApiSpec, 50, 'OpenAPI documents whose operations are actions.')),
    rollout: Type.Optional(RolloutSpec),
  },
  { additionalProperties: false },
)
export type ConfigDocument = Static<typeof ConfigDocument>

/** One immutable version, as served. */
export interface ConfigVersion {
  /** The file's name without its extension, e.g. `v001`. */
  name: string
  /** SHA-256 of its bytes, hexadecimal. */
  hash: string
  document: ConfigDocument
}
