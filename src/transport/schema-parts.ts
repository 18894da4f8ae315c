import { type Static, type TSchema, Type } from 'typebox'

/** What the shapes of the API are put together from. */

export const nullable = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()])
export const list = <Schema extends TSchema>(schema: Schema) =>
  Type.Unsafe<readonly Static<Schema>[]>(Type.Array(schema))
export const oneOf = <const Values extends readonly string[]>(...values: Values) =>
  Type.Unsafe<Values[number]>({ type: 'string', enum: values })
export const instant = (description: string) => Type.Integer({ description: `${description}, ms since the epoch.` })
