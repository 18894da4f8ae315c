import { type Resolve, type Schema, schemaBreaks } from './schema-breaks.ts'

/** An OpenAPI 3.1 document as far as ours goes. */
export interface Document {
  info: { version: string }
  paths: Record<string, Record<string, Operation>>
  components?: { schemas?: Record<string, Schema> }
}

interface Operation {
  operationId?: string
  parameters?: Parameter[]
  requestBody?: { required?: boolean; content: Content }
  responses: Record<string, { content?: Content }>
}

interface Parameter {
  name: string
  in: string
  required?: boolean
  schema?: Schema
}

type Content = Record<string, { schema?: Schema }>

/** What in `after` would break a client that was written for `before`, in words. */
export function documentBreaks(before: Document, after: Document): string[] {
  return Object.entries(before.paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, old]) => {
      const where = `${method.toUpperCase()} ${path}`
      const now = after.paths[path]?.[method]
      if (!now) return [`${where} is gone`]
      return operationBreaks(old, now, resolver(before), resolver(after), where)
    }),
  )
}

/** The first number that is not zero has moved (the major version, or the minor one before 1.0.0). */
export function movesMajor(before: string, after: string): boolean {
  const [old, now] = [before, after].map((version) => version.split('.').map(Number)) as [number[], number[]]
  const leading = Math.max(
    old.findIndex((part) => part > 0),
    0,
  )
  return old.slice(0, leading + 1).join('.') !== now.slice(0, leading + 1).join('.')
}

function resolver({ components }: Document): Resolve {
  return (schema) => {
    if (schema.$ref === undefined) return schema
    const named = components?.schemas?.[schema.$ref.replace('#/components/schemas/', '')]
    if (!named) throw new Error(`${schema.$ref} leads nowhere.`)
    return named
  }
}

function operationBreaks(
  old: Operation,
  now: Operation,
  resolveOld: Resolve,
  resolveNow: Resolve,
  where: string,
): string[] {
  const content = (before: Content | undefined, after: Content | undefined, use: 'request' | 'response', at: string) =>
    Object.entries(before ?? {}).flatMap(([type, { schema }]) => {
      const same = after?.[type]
      if (!same) return [`${at} is no longer ${type}`]
      const sides = [
        { schema, resolve: resolveOld },
        { schema: same.schema, resolve: resolveNow },
      ] as const
      return schemaBreaks(...sides, use, at)
    })

  const breaks: string[] = []
  if (old.operationId !== now.operationId) breaks.push(`${where} is called ${now.operationId} now`)
  for (const parameter of old.parameters ?? []) {
    const at = `${where} ${parameter.in} ${parameter.name}`
    const same = find(now, parameter)
    if (!same) breaks.push(`${at} is gone`)
    else {
      if (same.required && !parameter.required) breaks.push(`${at} is required now`)
      const before = { schema: parameter.schema, resolve: resolveOld }
      breaks.push(...schemaBreaks(before, { schema: same.schema, resolve: resolveNow }, 'request', at))
    }
  }
  for (const parameter of now.parameters ?? []) {
    if (parameter.required && !find(old, parameter))
      breaks.push(`${where} ${parameter.in} ${parameter.name} is required now`)
  }
  if (now.requestBody?.required && !old.requestBody?.required) breaks.push(`${where} needs a body now`)
  breaks.push(...content(old.requestBody?.content, now.requestBody?.content, 'request', `${where} body`))
  for (const [status, response] of Object.entries(old.responses)) {
    // An error that no longer happens breaks nobody.
    if (!status.startsWith('2') && !now.responses[status]) continue
    const at = `${where} ${status}`
    if (now.responses[status]) breaks.push(...content(response.content, now.responses[status].content, 'response', at))
    else breaks.push(`${at} is gone`)
  }
  return breaks
}

function find({ parameters }: Operation, wanted: Parameter): Parameter | undefined {
  return parameters?.find(({ name, in: place }) => name === wanted.name && place === wanted.in)
}
