import { timingSafeEqual } from 'node:crypto'
import { ParleyError } from '#errors.ts'
import type { Identified } from '../authenticator.ts'
import type { Withdrawals } from '../keys.ts'
import type { Principal } from '../principal.ts'
import { type KeyRow, principalOf } from './key-row.ts'

/** One text of a key that may be good: its present one, or the one before. */
export interface Credential {
  row: KeyRow
  digest: Buffer
  until: number
  identified: Identified
}

/** What withdraws a whole key. */
export function keyScope(id: string): string {
  return `key:${id}`
}

/** What calls one of its texts in question. It says nothing that helps to guess it. */
export function secretScope(digest: Buffer): string {
  return `secret:${digest.toString('hex').slice(0, 32)}`
}

export function credentialsOf(row: KeyRow, onEnded: (credential: Credential) => Identified['onEnded']): Credential[] {
  const principal = principalOf(row)
  const present = credentialOf(row, row.hash, row.expiresAt, principal, onEnded)
  if (row.oldHash === null || row.oldUntil === null) return [present]
  const until = Math.min(row.oldUntil, row.expiresAt)
  return [present, credentialOf(row, row.oldHash, until, principal, onEnded)]
}

function credentialOf(
  row: KeyRow,
  digest: Buffer,
  until: number,
  principal: Principal,
  onEnded: (credential: Credential) => Identified['onEnded'],
): Credential {
  const identified: Identified = { principal, until }
  const credential = { row, digest, until, identified }
  const hears = onEnded(credential)
  if (hears) identified.onEnded = hears
  return credential
}

/** The one that was sent, in the same time wherever they differ. */
export function matching(credentials: readonly Credential[], digest: Buffer): Credential | undefined {
  return credentials.find((credential) => timingSafeEqual(credential.digest, digest))
}

/** Why it is not taken any more; told only to who has it. Undefined while it is good. */
export function endOf(
  { row, until }: Credential,
  withdrawals: Pick<Withdrawals, 'get'>,
  now: number,
): ParleyError | undefined {
  const end = endOfKey(row, withdrawals, now)
  return end ?? (now >= until ? oldText() : undefined)
}

/**
 * Somebody has set out to end this text with a rotation, which is told before it is done: until that is forgotten, only the row
 * says whether it was.
 */
export function isDoubted({ digest }: Credential, withdrawals: Pick<Withdrawals, 'get'>): boolean {
  return withdrawals.get(secretScope(digest)) !== undefined
}

/** The same of a key, whichever of its texts is sent. */
export function endOfKey(row: KeyRow, withdrawals: Pick<Withdrawals, 'get'>, now: number): ParleyError | undefined {
  if (row.revokedAt !== null || withdrawals.get(keyScope(row.id))) return keyRefused('The key was revoked.')
  return now >= row.expiresAt ? keyRefused('The key has expired.') : undefined
}

export function oldText(): ParleyError {
  return keyRefused('The key was rotated; this is its old text.')
}

export function keyRefused(message: string): ParleyError {
  return new ParleyError('unauthenticated', { message, param: 'key' })
}
