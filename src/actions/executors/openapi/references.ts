export type Json = Readonly<Record<string, unknown>>

/** What keeps an operation from being an action; the message goes on from its place: "has no …". */
export class Unusable extends Error {
  override readonly name = 'Unusable'
}

const MAX_HOPS = 32

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

/** The object that stands here, or that `$ref` here leads to; undefined where there is none. Throws `Unusable`. */
export function resolved(document: Json, value: unknown): Json | undefined {
  let at = value
  for (let hops = 0; isObject(at) && typeof at.$ref === 'string'; hops++) {
    if (hops === MAX_HOPS) throw new Unusable(`leads in a circle at ${at.$ref}`)
    at = pointed(document, at.$ref)
  }
  return isObject(at) ? at : undefined
}

/** What a reference within the document leads to (RFC 6901, as the fragment of a URI). Throws `Unusable`. */
export function pointed(document: Json, reference: string): unknown {
  if (reference === '#') return document
  if (!reference.startsWith('#/')) throw new Unusable(`refers to ${reference}, outside of the document`)
  let at: unknown = document
  for (const segment of reference.slice(2).split('/')) {
    const name = decoded(segment, reference).replaceAll('~1', '/').replaceAll('~0', '~')
    const known = typeof at === 'object' && at !== null && Object.hasOwn(at, name)
    if (!known) throw new Unusable(`refers to ${reference}, which is not there`)
    at = Array.isArray(at) ? at[Number(name)] : new Map(Object.entries(at as Json)).get(name)
  }
  return at
}

function decoded(segment: string, reference: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    throw new Unusable(`refers to ${reference}, which cannot be read`)
  }
}
