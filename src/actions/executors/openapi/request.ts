import { CorrectableError } from '../executor.ts'
import type { Operation } from './operation.ts'
import type { Parameter } from './parameters.ts'
import { isObject, type Json } from './references.ts'

/** An operation with its arguments in place, before anything of the run or the user is added. */
export interface OperationRequest {
  /** In capitals. */
  method: string
  url: string
  /** Names in lower case. */
  headers: Readonly<Record<string, string>>
  /** JSON text; undefined for none. */
  body: string | undefined
}

/** Between the parts of a list that is one value. */
const SEPARATORS: Readonly<Record<string, string>> = { spaceDelimited: '%20', pipeDelimited: '%7C' }

/** Throws `CorrectableError` for arguments that cannot be put where they belong. */
export function requestOf(operation: Operation, args: Json): OperationRequest {
  const { method, base, path, parameters, body } = operation
  const known = new Set([...parameters.map(({ name }) => name), ...(body?.properties.map(([name]) => name) ?? [])])
  const unknown = Object.keys(args).find((name) => !known.has(name))
  if (unknown !== undefined) throw new CorrectableError(`${JSON.stringify(unknown)} is no argument of this operation.`)
  const given = parameters.flatMap((parameter) => {
    const value = Object.hasOwn(args, parameter.name) ? args[parameter.name] : undefined
    if (value === undefined && parameter.required)
      throw new CorrectableError(`The argument ${parameter.name} is missing.`)
    return value === undefined ? [] : [{ parameter, value: parameter.json ? JSON.stringify(value) : value }]
  })
  const at = (place: Parameter['place']) => given.filter(({ parameter }) => parameter.place === place)
  const query = at('query').flatMap(({ parameter, value }) => pairsOf(parameter, value))
  const text = bodyText(operation, args)
  const headers = at('header').map(({ parameter, value }) => [
    parameter.name.toLowerCase(),
    headerText(parameter, value),
  ])
  const url = base + filled(path, at('path'))
  return {
    method,
    url: query.length === 0 ? url : `${url}?${query.map((pair) => pair.join('=')).join('&')}`,
    headers: {
      ...Object.fromEntries(headers),
      ...(text === undefined ? {} : { 'content-type': body?.mediaType ?? 'application/json' }),
    },
    body: text,
  }
}

interface Given {
  parameter: Parameter
  value: unknown
}

/** An argument must not lead elsewhere: `..`, or nothing at all, is no part of a path, however it is put together. */
function filled(path: string, given: readonly Given[]): string {
  const segments = path.split('/').map((segment) => {
    if (!segment.includes('{')) return segment
    const text = segment.replaceAll(/\{([^{}]*)\}/g, (_, name: string) => {
      const part = given.find(({ parameter }) => parameter.name === name)
      return part ? simple(part.parameter, part.value, encodeURIComponent) : ''
    })
    const steps = decodeURIComponent(text).split(/[/\\]/)
    if (!steps.some((step) => step === '' || step === '.' || step === '..')) return text
    throw new CorrectableError('What becomes part of the address must not be empty, nor have empty parts, "." or "..".')
  })
  return segments.join('/')
}

/** Style `simple`: `a`, `a,b` or, for an object, `k,v` (`k=v` when exploded). */
function simple({ explode }: Parameter, value: unknown, encode: (text: string) => string): string {
  if (Array.isArray(value)) return value.map((part) => encode(plain(part))).join(',')
  if (!isObject(value)) return encode(plain(value))
  return Object.entries(value)
    .map(([name, part]) => `${encode(name)}${explode ? '=' : ','}${encode(plain(part))}`)
    .join(',')
}

/** Names and values, encoded. */
function pairsOf({ name, style, explode }: Parameter, value: unknown): (readonly [string, string])[] {
  const key = encodeURIComponent(name)
  const encoded = (part: unknown) => encodeURIComponent(plain(part))
  if (isObject(value)) {
    const entries = Object.entries(value).map(([member, part]) => [encodeURIComponent(member), encoded(part)] as const)
    if (style === 'deepObject') return entries.map(([member, part]) => [`${key}%5B${member}%5D`, part])
    return explode ? entries : [[key, entries.flat().join(',')]]
  }
  if (!Array.isArray(value)) return [[key, encoded(value)]]
  if (explode) return value.map((part) => [key, encoded(part)])
  return [[key, value.map(encoded).join(SEPARATORS[style] ?? ',')]]
}

function headerText(parameter: Parameter, value: unknown): string {
  const text = simple(parameter, value, (part) => part)
  if (/^[\x20-\x7e]*$/.test(text)) return text.trim()
  throw new CorrectableError(`The argument ${parameter.name} goes into a header: printable ASCII only.`)
}

function plain(value: unknown): string {
  if (typeof value === 'string') return value.toWellFormed()
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value)
}

function bodyText({ body }: Operation, args: Json): string | undefined {
  if (!body) return undefined
  if (body.whole) return Object.hasOwn(args, 'body') ? JSON.stringify(args.body) : undefined
  const given = body.properties.flatMap(([name]) => (Object.hasOwn(args, name) ? [[name, args[name]] as const] : []))
  return given.length === 0 && !body.required ? undefined : JSON.stringify(Object.fromEntries(given))
}
