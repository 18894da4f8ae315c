/** One token of RFC 8259 other than a string, tried at a position. */
const TOKEN = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|[[\]{},:]/y
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y
const SPACE = /[ \t\n\r]*/y

/** After a comma an array wants a value, an object a key. */
type Expectation = 'value' | 'value-or-close' | 'key' | 'key-or-close' | 'colon' | 'comma-or-close' | 'end'

/**
 * Where a text stops being JSON: the index of the first token that has no place there, or undefined for JSON. Walked only
 * once the parser has refused a text, because the parser names the position of some faults only.
 */
export function jsonFaultAt(text: string): number | undefined {
  const open: ('{' | '[')[] = []
  let expect: Expectation | undefined = 'value'
  let at = 0
  for (;;) {
    SPACE.lastIndex = at
    SPACE.test(text)
    at = SPACE.lastIndex
    if (at === text.length) return expect === 'end' ? undefined : at
    const end = text[at] === '"' ? stringEnd(text, at) : tokenEnd(text, at)
    if (end === undefined) return at
    expect = afterToken(text[at] === '"' ? '"' : text.slice(at, end), expect, open)
    if (expect === undefined) return at
    at = end
  }
}

function tokenEnd(text: string, start: number): number | undefined {
  TOKEN.lastIndex = start
  return TOKEN.test(text) ? TOKEN.lastIndex : undefined
}

function stringEnd(text: string, start: number): number | undefined {
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === 0x22) return at + 1
    if (code < 0x20) return undefined
    if (code !== 0x5c) continue
    ESCAPE.lastIndex = at
    if (!ESCAPE.test(text)) return undefined
    at = ESCAPE.lastIndex - 1
  }
  return undefined
}

function afterToken(token: string, expect: Expectation, open: ('{' | '[')[]): Expectation | undefined {
  const wantsValue = expect === 'value' || expect === 'value-or-close'
  const wantsKey = expect === 'key' || expect === 'key-or-close'
  const after = open.length === 0 ? 'end' : 'comma-or-close'
  switch (token) {
    case '{':
      return wantsValue && open.push(token) ? 'key-or-close' : undefined
    case '[':
      return wantsValue && open.push(token) ? 'value-or-close' : undefined
    case '}':
      return (expect === 'key-or-close' || expect === 'comma-or-close') && open.pop() === '{' ? close(open) : undefined
    case ']':
      return (expect === 'value-or-close' || expect === 'comma-or-close') && open.pop() === '['
        ? close(open)
        : undefined
    case ',':
      if (expect !== 'comma-or-close') return undefined
      return open.at(-1) === '{' ? 'key' : 'value'
    case ':':
      return expect === 'colon' ? 'value' : undefined
    case '"':
      return wantsKey ? 'colon' : wantsValue ? after : undefined
    default:
      return wantsValue ? after : undefined
  }
}

function close(open: readonly string[]): Expectation {
  return open.length === 0 ? 'end' : 'comma-or-close'
}
