/** In JSON: of a character, and around a text. */
const MOST_BYTES = 6
const QUOTES = 2

/** As `cutOutput`, and within `maxBytes` of JSON but for the remark. */
export function fitOutput(output: string, limit: number, maxBytes: number): string {
  const cut = cutOutput(output, limit)
  if (jsonBytes(cut) <= maxBytes) return cut
  return cutOutput(output, Math.max(0, Math.floor((maxBytes - QUOTES) / MOST_BYTES)))
}

export function jsonBytes(text: string): number {
  return Buffer.byteLength(JSON.stringify(text))
}

/** What an action answered, at most `limit` characters of it; what is cut is told of. */
export function cutOutput(output: string, limit: number): string {
  return output.length <= limit
    ? output
    : `${output.slice(0, limit).toWellFormed()}\n[cut off here: the result has ${output.length} characters]`
}
