/** Controls of terminals, and marks that turn the direction of what stands around them: what is shown is not what is there. */
const UNSEEN = /[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu

/**
 * What a model or a tool said, fit for a terminal: it can neither move the cursor, nor reach the clipboard, nor show an argument
 * as another. Lines and tabs stay.
 */
export function plainText(text: string): string {
  return text.replace(UNSEEN, (mark) =>
    mark === '\n' || mark === '\t' ? mark : `\\u${mark.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** On one line, and not too long for it. */
export function brief(text: string): string {
  const line = plainText(text).replaceAll('\n', ' ')
  return line.length > 160 ? `${line.slice(0, 160)}…` : line
}
