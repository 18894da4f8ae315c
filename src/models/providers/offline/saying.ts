/** What a user asks a function for, taken apart: "open a high priority ticket: printer on fire". */
export interface Saying {
  /** All of it. */
  words: string
  /** What is asked for: `open a high priority ticket`. The same as the words when there is no subject. */
  request: string
  /** What it is about: `printer on fire`. */
  subject: string | undefined
}

const AFTER_COLON = /^([^:“"\n]{1,120}):\s+(\S[\s\S]*)$/
const AFTER_WORD = /^(.{1,120}?\b(?:about|titled|called|named|saying)) (\S[\s\S]*)$/i

export function readSaying(words: string): Saying {
  const [, request = words, subject] = AFTER_COLON.exec(words) ?? AFTER_WORD.exec(words) ?? []
  return { words, request, subject: subject?.trim() }
}

/** Words that hold nothing but a value. */
export function asSaying(words: string): Saying {
  return { words, request: words, subject: undefined }
}
