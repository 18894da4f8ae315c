import { createHash } from 'node:crypto'

/** JSON whose members are in order of their names (by UTF-16 units, as RFC 8785 has it), so that equal values have equal text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => {
    if (typeof part !== 'object' || part === null || Array.isArray(part)) return part
    const sorted: Record<string, unknown> = Object.create(null)
    for (const name of Object.keys(part).sort()) sorted[name] = (part as Record<string, unknown>)[name]
    return sorted
  })
}

/** SHA-256 of the canonical JSON, hexadecimal. */
export function hashOfJson(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex')
}
