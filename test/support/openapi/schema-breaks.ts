/** A JSON Schema as far as our documents use it. */
export interface Schema {
  $ref?: string
  type?: string | string[]
  enum?: unknown[]
  const?: unknown
  anyOf?: Schema[]
  properties?: Record<string, Schema>
  required?: string[]
  additionalProperties?: boolean | Schema
  items?: Schema
  pattern?: string
  format?: string
  minLength?: number
  maxLength?: number
  minimum?: number
  maximum?: number
  minItems?: number
  maxItems?: number
}

export type Resolve = (schema: Schema) => Schema
export interface Side {
  schema: Schema | undefined
  resolve: Resolve
}

/**
 * Whether whoever relies on `before` can live with `after`. What clients send must still be accepted; what they read must
 * still be there and of its kind. New fields, and new values of an enum that is only read, break nobody.
 */
export function schemaBreaks(before: Side, after: Side, use: 'request' | 'response', where: string): string[] {
  if (!before.schema || !after.schema) {
    return before.schema && use === 'response' ? [`${where} is no longer described`] : []
  }
  const old = before.resolve(before.schema)
  const now = after.resolve(after.schema)
  const inOld = (schema: Schema | undefined): Side => ({ schema, resolve: before.resolve })
  const inNow = (schema: Schema | undefined): Side => ({ schema, resolve: after.resolve })

  if (old.anyOf || now.anyOf) {
    // Each alternative of whoever speaks must be one that the other side understands.
    const olds = old.anyOf ?? [old]
    const nows = now.anyOf ?? [now]
    const [spoken, heard] = use === 'request' ? [olds, nows] : [nows, olds]
    const breaks = (said: Schema, understood: Schema) =>
      use === 'request'
        ? schemaBreaks(inOld(said), inNow(understood), use, where)
        : schemaBreaks(inOld(understood), inNow(said), use, where)
    return spoken.flatMap((said) => {
      const found = heard.map((understood) => breaks(said, understood))
      return found.some(({ length }) => length === 0) ? [] : (found.toSorted((a, b) => a.length - b.length)[0] ?? [])
    })
  }

  const breaks = [...kindBreaks(old, now, use, where), ...(use === 'request' ? limitBreaks(old, now, where) : [])]
  for (const [name, property] of Object.entries(old.properties ?? {})) {
    const same = now.properties?.[name]
    if (same) breaks.push(...schemaBreaks(inOld(property), inNow(same), use, `${where}.${name}`))
    else breaks.push(`${where}.${name} is gone`)
  }
  const [demanding, given] = use === 'request' ? [now, old] : [old, now]
  for (const name of demanding.required ?? []) {
    if (given.required?.includes(name)) continue
    if (use === 'request') breaks.push(`${where}.${name} is required now`)
    else if (now.properties?.[name]) breaks.push(`${where}.${name} may be missing now`)
  }
  if (use === 'request' && old.additionalProperties !== false && now.additionalProperties === false) {
    breaks.push(`${where} takes no further fields now`)
  }
  if (typeof old.additionalProperties === 'object' && typeof now.additionalProperties === 'object') {
    breaks.push(...schemaBreaks(inOld(old.additionalProperties), inNow(now.additionalProperties), use, `${where}.*`))
  }
  if (old.items && now.items) breaks.push(...schemaBreaks(inOld(old.items), inNow(now.items), use, `${where}[]`))
  return breaks
}

function kindBreaks(old: Schema, now: Schema, use: 'request' | 'response', where: string): string[] {
  const [spoken, heard] = use === 'request' ? [old, now] : [now, old]
  const breaks: string[] = []
  if (!understands(heard, spoken)) {
    breaks.push(`${where} was ${typesOf(old).join('|') || 'anything'} and is ${typesOf(now).join('|') || 'anything'}`)
  }
  const values = valuesOf(heard)
  if (use === 'request' && values) {
    const gone = (valuesOf(spoken) ?? ['anything else']).filter((value) => !values.includes(value))
    if (gone.length > 0) breaks.push(`${where} no longer takes ${gone.join(', ')}`)
  }
  for (const keyword of ['pattern', 'format'] as const) {
    if (heard[keyword] !== undefined && heard[keyword] !== spoken[keyword] && use === 'request') {
      breaks.push(`${where} has another ${keyword}`)
    }
  }
  return breaks
}

function typesOf({ type }: Schema): string[] {
  return type === undefined ? [] : [type].flat()
}

/** No type at all is any type. */
function understands(heard: Schema, spoken: Schema): boolean {
  const known = typesOf(heard)
  const said = typesOf(spoken)
  if (known.length === 0) return true
  if (said.length === 0) return valuesOf(spoken) !== undefined
  return said.every((type) => known.includes(type) || (type === 'integer' && known.includes('number')))
}

function valuesOf(schema: Schema): unknown[] | undefined {
  return schema.enum ?? ('const' in schema ? [schema.const] : undefined)
}

function limitBreaks(old: Schema, now: Schema, where: string): string[] {
  const lower = (['minLength', 'minimum', 'minItems'] as const).filter(
    (limit) => (now[limit] ?? Number.NEGATIVE_INFINITY) > (old[limit] ?? Number.NEGATIVE_INFINITY),
  )
  const upper = (['maxLength', 'maximum', 'maxItems'] as const).filter(
    (limit) => (now[limit] ?? Number.POSITIVE_INFINITY) < (old[limit] ?? Number.POSITIVE_INFINITY),
  )
  return [...lower, ...upper].map((limit) => `${where} has a narrower ${limit}`)
}
