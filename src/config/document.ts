import { type Static, Type } from 'typebox'
import { ModelSpec, RouteSpec } from '#models/schema.ts'

/** The name of a model, route, specialist or action: what providers accept as the name of a function. */
export const NAME_PATTERN = '^[a-zA-Z][a-zA-Z0-9_-]{0,63}$'

const named = <T extends Parameters<typeof Type.Record>[1]>(value: T, maxProperties: number) =>
  Type.Record(Type.String({ pattern: NAME_PATTERN }), value, { maxProperties, additionalProperties: false })

export const SpecialistSpec = Type.Object(
  {
    title: Type.String({ minLength: 1, maxLength: 200 }),
    description: Type.Optional(Type.String({ maxLength: 2000 })),
    instructions: Type.String({ minLength: 1, maxLength: 100_000 }),
    route: Type.String(),
    actions: Type.Optional(Type.Array(Type.String(), { maxItems: 128, uniqueItems: true })),
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
    description: Type.String({ minLength: 1, maxLength: 1024 }),
    /** JSON Schema of the arguments; of type object. */
    parameters: Type.Record(Type.String(), Type.Unknown()),
    /** The name of a function in `src/actions/executors/builtin/`. */
    builtin: Type.String({ minLength: 1, maxLength: 64 }),
    access: Type.Optional(Type.Union([Type.Literal('read'), Type.Literal('write')])),
    output: Type.Optional(Type.Union([Type.Literal('untrusted'), Type.Literal('trusted')])),
    timeoutMs: Type.Optional(Type.Integer({ minimum: 1, maximum: 600_000 })),
  },
  { additionalProperties: false },
)
export type ActionSpec = Static<typeof ActionSpec>

/** A config version's document, as it is written in YAML or JSON. Published as `docs/config.schema.json`. */
export const ConfigDocument = Type.Object(
  {
    description: Type.String({ minLength: 1, maxLength: 1000 }),
    models: named(ModelSpec, 100),
    routes: named(RouteSpec, 100),
    specialists: named(SpecialistSpec, 500),
    actions: Type.Optional(named(ActionSpec, 500)),
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
