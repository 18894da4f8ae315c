import { type Static, Type } from 'typebox'
import { ModelSpec, RouteSpec } from '#models/schema.ts'

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

export const ActionSpec = Type.Object(
  {
    description: Type.String({ minLength: 1, maxLength: 1024, description: 'For the model: when to call it.' }),
    parameters: Type.Record(Type.String(), Type.Unknown(), {
      description: 'JSON Schema (2020-12) of the arguments; of type object.',
    }),
    /** A name of the registry in `src/actions/executors/builtin/`. */
    builtin: Type.String({ minLength: 1, maxLength: 64, description: 'The built-in function that does it.' }),
    access: Type.Optional(
      Type.Union([Type.Literal('read'), Type.Literal('write')], {
        description: 'Whether it changes anything. Default write.',
      }),
    ),
    output: Type.Optional(
      Type.Union([Type.Literal('untrusted'), Type.Literal('trusted')], {
        description: 'Whether strangers can write what it answers. Default untrusted.',
      }),
    ),
    timeoutMs: Type.Optional(Type.Integer({ minimum: 1, maximum: 600_000, description: 'Default 30000.' })),
  },
  { additionalProperties: false },
)
export type ActionSpec = Static<typeof ActionSpec>

/** A config version's document, as it is written in YAML or JSON. Published as `docs/config.schema.json`. */
export const ConfigDocument = Type.Object(
  {
    description: Type.String({ minLength: 1, maxLength: 1000, description: 'What this version is for, or changes.' }),
    models: named(ModelSpec, 100, 'Deployments of providers.'),
    routes: named(RouteSpec, 100, 'Ordered lists of models that may answer.'),
    specialists: named(SpecialistSpec, 500, 'Assistants that people talk to.'),
    actions: Type.Optional(named(ActionSpec, 500, 'Functions that models may call.')),
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
