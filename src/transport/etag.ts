import type { FastifyRequest } from 'fastify'
import { ParleyError } from '#errors.ts'

export function etagOf({ version }: { version: number }): string {
  return `"${version}"`
}

/** The version that `if-match` asks for; undefined when any will do. A tag that is none of ours matches nothing. */
export function versionToMatch({ headers }: FastifyRequest): number | undefined {
  const given = headers['if-match']?.trim()
  if (given === undefined || given === '*') return undefined
  const version = /^"(\d{1,15})"$/.exec(given)?.[1]
  if (version === undefined) throw new ParleyError('version_conflict', { param: 'if-match' })
  return Number(version)
}

/** The opaque tag that `if-match` names, for what must not be changed unseen: so without one, or by `*`, it is refused. */
export function tagToMatch({ headers }: FastifyRequest): string {
  const given = headers['if-match']?.trim()
  const param = 'if-match'
  if (given === undefined || given === '' || given === '*') throw new ParleyError('precondition_required', { param })
  const tag = /^"([\x21\x23-\x7e]{1,200})"$/.exec(given)?.[1]
  if (tag === undefined) throw new ParleyError('version_conflict', { param })
  return tag
}

/** What is at hand is among what the caller has (`if-none-match`, by weak comparison). */
export function isAtHand({ headers }: FastifyRequest, etag: string): boolean {
  const tags = headers['if-none-match']?.split(',').map((tag) => tag.trim().replace(/^W\//, '')) ?? []
  return tags.includes('*') || tags.includes(etag)
}
