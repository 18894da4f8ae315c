/** Objects and arrays within one another that a body may have: whoever walks a value would otherwise run out of stack. */
export const MOST_DEEP = 200

/** Whether JSON text is nested deeper. Most bodies have too few brackets for that, which is found out without a walk. */
export function isTooDeep(text: string): boolean {
  return hasMore(text, '{', '[') && walksDeeper(text)
}

function hasMore(text: string, ...brackets: readonly string[]): boolean {
  let found = 0
  for (const bracket of brackets) {
    for (let at = text.indexOf(bracket); at !== -1; at = text.indexOf(bracket, at + 1)) {
      found += 1
      if (found > MOST_DEEP) return true
    }
  }
  return false
}

function walksDeeper(text: string): boolean {
  let depth = 0
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) at = endOfString(text, at)
    else if (code === OPEN_OBJECT || code === OPEN_ARRAY) {
      depth += 1
      if (depth > MOST_DEEP) return true
    } else if (code === CLOSE_OBJECT || code === CLOSE_ARRAY) depth -= 1
  }
  return false
}

const [QUOTE, OPEN_OBJECT, CLOSE_OBJECT, OPEN_ARRAY, CLOSE_ARRAY] = [0x22, 0x7b, 0x7d, 0x5b, 0x5d]

function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let escapes = 0
    while (text[end - 1 - escapes] === '\\') escapes += 1
    if (escapes % 2 === 0) return end
  }
  return text.length
}
