import { hash, randomBytes } from 'node:crypto'
import { type Key, key } from '#platform/kv/kv.ts'
import { type Owner, partitionOf } from '../principal.ts'

/** What the cookie of a session says: whose it is, so that it is kept with that person's data, and a secret. */
export interface SessionName {
  owner: Owner
  /** Where it is kept; what is kept names the secret by its hash alone. */
  at: Key
  /** Among the sessions of that person. */
  name: string
  cookie: string
}

const SECRET = /^[\w-]{43}$/

export function newSessionName(owner: Owner): SessionName {
  return named(owner, randomBytes(32).toString('base64url'))
}

/** Undefined for what is no such cookie. */
export function readSessionName(cookie: string): SessionName | undefined {
  const [tenant = '', id = '', secret = '', ...more] = cookie.split('.')
  const owner = { tenant: decode(tenant), id: decode(id) }
  if (more.length > 0 || owner.tenant === '' || owner.id === '' || !SECRET.test(secret)) return undefined
  return named(owner, secret)
}

/** Where the names of a person's sessions are. */
export function sessionsOf(owner: Owner): Key {
  return key(partitionOf(owner), 'sessions')
}

function named(owner: Owner, secret: string): SessionName {
  const name = `session:${hash('sha256', secret, 'base64url')}`
  const cookie = [encode(owner.tenant), encode(owner.id), secret].join('.')
  return { owner, at: key(partitionOf(owner), name), name, cookie }
}

function encode(text: string): string {
  return Buffer.from(text).toString('base64url')
}

function decode(text: string): string {
  return text.length > 256 ? '' : Buffer.from(text, 'base64url').toString()
}
