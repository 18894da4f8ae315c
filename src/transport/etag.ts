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
