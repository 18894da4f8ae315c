/** As much of JSON Schema as the OpenAPI document uses. */
export interface Schema {
  type?: string
  enum?: readonly unknown[]
  const?: unknown
  anyOf?: readonly Schema[]
  oneOf?: readonly Schema[]
  $ref?: string
  properties?: Record<string, Schema>
  items?: Schema
  pattern?: string
  minimum?: number
  maxLength?: number
  additionalProperties?: boolean | Schema
}

/** A value that fits a schema and has `text` wherever a text may stand. */
export function sample(schema: Schema, text: string, resolve: (ref: string) => Schema, depth = 0): unknown {
  const inner = (one: Schema) => sample(one, text, resolve, depth + 1)
  if (depth > 6) return null
  if (schema.$ref) return inner(resolve(schema.$ref))
  if (schema.const !== undefined) return schema.const
  if (schema.enum) return schema.enum[0]
  const [first] = schema.anyOf ?? schema.oneOf ?? []
  if (first) return inner(first)
  if (schema.properties || schema.type === 'object') {
    const given = Object.entries(schema.properties ?? {}).map(([name, one]) => [name, inner(one)])
    const more = schema.properties && schema.additionalProperties !== true ? [] : [[text, text]]
    return Object.fromEntries([...given, ...more])
  }
  if (schema.type === 'array') return [inner(schema.items ?? {})]
  if (schema.type === 'integer' || schema.type === 'number') return schema.minimum ?? 1
  if (schema.type === 'boolean') return true
  return text.slice(0, schema.maxLength)
}
