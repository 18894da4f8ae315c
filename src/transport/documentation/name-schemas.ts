type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

/**
 * Moves each schema with a title to the document's components and refers to it from there, so that generated clients have
 * names for the messages. Throws when two different shapes share a title.
 */
export function nameSchemas(document: object): object {
  const schemas: Record<string, Json> = {}
  const { components, ...rest } = visit(document as Json, schemas) as { components?: { [key: string]: Json } }
  const names = Object.keys(schemas).sort()
  return {
    ...rest,
    components: { ...components, schemas: Object.fromEntries(names.map((name) => [name, schemas[name]])) },
  }
}

function visit(value: Json, schemas: Record<string, Json>): Json {
  if (Array.isArray(value)) return value.map((item) => visit(item, schemas))
  if (value === null || typeof value !== 'object') return value
  const visited = Object.fromEntries(Object.entries(value).map(([key, part]) => [key, visit(part, schemas)]))
  const { title } = visited
  // The document's own title stands in `info`, beside a version.
  if (typeof title !== 'string' || 'version' in visited) return visited
  const { title: _, ...schema } = visited
  if (title in schemas && JSON.stringify(schemas[title]) !== JSON.stringify(schema)) {
    throw new Error(`Two shapes are called ${title}.`)
  }
  schemas[title] = schema
  return { $ref: `#/components/schemas/${title}` }
}
