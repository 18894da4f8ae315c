import { ParleyError } from '#errors.ts'
import type { ConversationKeys } from './conversations.ts'
import type { Seal } from './vault.ts'

const MAX_CHARACTERS = 200
const DERIVED_CHARACTERS = 80

/** A title as given: 1 to 200 characters of one line, not only blanks. Throws invalid_request. */
export function checkTitle(title: string): string {
  if (title.trim() === '') throw refusal('is empty')
  // No character has more than two units, so what is far too long need not be counted.
  if (title.length > 2 * MAX_CHARACTERS || Array.from(title).length > MAX_CHARACTERS) {
    throw refusal(`is longer than ${MAX_CHARACTERS} characters`)
  }
  if (!title.isWellFormed()) throw refusal('is not well-formed Unicode')
  if (/\p{Cc}/u.test(title)) throw refusal('contains control characters')
  return title
}

/** The beginning of a message, cut between words where it can be; '' when there is nothing to show. */
export function titleFrom(message: string): string {
  const text = message
    .slice(0, 1000)
    .toWellFormed()
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .trim()
  const characters = Array.from(text)
  if (characters.length <= DERIVED_CHARACTERS) return text
  const cut = characters.slice(0, DERIVED_CHARACTERS - 1).join('')
  const lastBlank = cut.lastIndexOf(' ')
  return `${(lastBlank > cut.length / 2 ? cut.slice(0, lastBlank) : cut).trimEnd()}…`
}

/** As kept in the record; no bytes for no title. */
export function sealTitle(seal: Seal, keys: ConversationKeys, title: string): Buffer {
  return title === '' ? Buffer.alloc(0) : seal.seal(title, placeOf(keys))
}

/** Throws erased, sealed_unreadable. */
export function unsealTitle(seal: Seal, keys: ConversationKeys, sealed: Buffer): string {
  return seal.unseal(sealed, placeOf(keys)).toString()
}

function placeOf({ record }: ConversationKeys): string {
  return `${record}@title`
}

function refusal(what: string): ParleyError {
  return new ParleyError('invalid_request', { message: `\`title\` ${what}.`, param: 'title' })
}
