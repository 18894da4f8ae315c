import { readFileSync } from 'node:fs'
import { Ajv, type ValidateFunction } from 'ajv'
import { answerSchema } from '../openapi/answer-schema.ts'
import { publishedAt } from '../openapi/publish.ts'

/** As much of JSON Schema as values are drawn from. */
export interface Schema {
  $ref?: string
  type?: string
  enum?: readonly unknown[]
  const?: unknown
  anyOf?: readonly Schema[]
  properties?: Record<string, Schema>
  required?: readonly string[]
  items?: Schema
  minimum?: number
  maximum?: number
  minLength?: number
  maxLength?: number
  minItems?: number
  maxItems?: number
  pattern?: string
}

export interface Operation {
  id: string
  method: string
  path: string
  parameters: readonly { name: string; in: string; required?: boolean; schema: Schema }[]
  body: Schema | undefined
  /** Media types of the body. */
  accepts: readonly string[]
  /** Whether its answer may be an event stream. */
  streams: boolean
  statuses: readonly number[]
  /** Only those who operate are let in. */
  isForOperators: boolean
}

interface Document {
  paths: Record<string, Record<string, Described>>
  components: { schemas: Record<string, Schema> }
}

interface Described {
  operationId: string
  'x-roles'?: readonly string[] | 'any'
  parameters?: Operation['parameters']
  requestBody?: { content: Record<string, { schema?: Schema }> }
  responses: Record<string, { content?: Record<string, unknown> }>
}

/** The published document: its operations, its named schemas, and what it says of an answer. */
export function readDocument() {
  const document = JSON.parse(readFileSync(publishedAt, 'utf8')) as Document
  const ajv = new Ajv({ strict: false, validateFormats: false })
  ajv.addSchema({ ...document, $id: 'document' })
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(
      ([method, described]): Operation => ({
        id: described.operationId,
        method: method.toUpperCase(),
        path,
        parameters: described.parameters ?? [],
        body: described.requestBody?.content['application/json']?.schema,
        accepts: Object.keys(described.requestBody?.content ?? {}),
        streams: Object.values(described.responses).some(({ content }) => content && 'text/event-stream' in content),
        statuses: Object.keys(described.responses).map(Number),
        isForOperators: Array.isArray(described['x-roles']) && !described['x-roles'].includes('Chat.User'),
      }),
    ),
  )
  const validators = new Map<string, ValidateFunction>()
  return {
    operations,
    resolve: (schema: Schema): Schema =>
      schema.$ref ? (document.components.schemas[schema.$ref.split('/').at(-1) ?? ''] ?? {}) : schema,
    /** What is wrong with a JSON answer, in words; nothing when it is as documented. */
    misfit({ path, method }: Pick<Operation, 'path' | 'method'>, status: number, answer: unknown): string | undefined {
      const $ref = `document${answerSchema(method, path, status)}`
      const validate = validators.get($ref) ?? ajv.compile({ $ref })
      validators.set($ref, validate)
      return validate(answer) ? undefined : ajv.errorsText(validate.errors)
    },
  }
}
