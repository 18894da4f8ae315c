import type { ConversationKeys } from './conversations.ts'
import type { Seal } from './vault.ts'

const TITLE_FROM_MESSAGE = 60

export function sealTitle(seal: Seal, keys: ConversationKeys, title: string): Buffer {
  return seal.seal(title, placeOf(keys))
}

export function unsealTitle(seal: Seal, keys: ConversationKeys, sealed: Uint8Array): string {
  return seal.unseal(sealed, placeOf(keys)).toString()
}

/** The title of a conversation that was given none: the beginning of its first message, on one line, cut between words. */
export function titleFrom(message: string): string {
  const line = message.replace(/\s+/g, ' ').trim()
  const characters = Array.from(line)
  if (characters.length <= TITLE_FROM_MESSAGE) return line
  const cut = characters.slice(0, TITLE_FROM_MESSAGE).join('')
  const lastGap = cut.lastIndexOf(' ')
  return `${lastGap > TITLE_FROM_MESSAGE / 2 ? cut.slice(0, lastGap) : cut}…`
}

function placeOf({ record }: ConversationKeys): string {
  return `${record}@title`
}
