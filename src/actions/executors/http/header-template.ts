import { type Arguments, fill } from '../../templates/placeholder.ts'
import { CorrectableError } from '../executor.ts'

export const MAX_HEADER_LENGTH = 4096

const NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/i
/** Sent by us or by HTTP itself; a config version has no say in them, and holds no secrets. */
const OURS = new Set([
  'accept-encoding',
  'authorization',
  'connection',
  'content-encoding',
  'content-length',
  'cookie',
  'expect',
  'forwarded',
  'host',
  'idempotency-key',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'traceparent',
  'tracestate',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'user-agent',
  'via',
])

/** Why a config version cannot set this header; undefined when it can. */
export function headerNameFault(name: string): string | undefined {
  if (!NAME.test(name)) return 'is no name of a header'
  return OURS.has(name.toLowerCase()) ? 'is a header that is not up to a config version' : undefined
}

/** What a header's value may hold: visible ASCII and spaces, so that no value becomes a second header. */
export function isHeaderText(text: string): boolean {
  return /^[\x20-\x7e]*$/.test(text)
}

/** By name in lower case, without those whose arguments were left out. Throws `CorrectableError`. */
export function renderHeaders(templates: Readonly<Record<string, string>>, args: Arguments): Record<string, string> {
  const rendered = Object.entries(templates).flatMap(([header, template]): [string, string][] => {
    const value = fill(template, args, (text, name) => {
      if (isHeaderText(text)) return text
      throw new CorrectableError(
        `The argument "${name}" becomes a header: only printable ASCII characters can stand there.`,
      )
    })
    if (value === undefined) return []
    if (value.length <= MAX_HEADER_LENGTH) return [[header.toLowerCase(), value]]
    throw new CorrectableError(`The arguments make a header of more than ${MAX_HEADER_LENGTH} characters, the limit.`)
  })
  return Object.fromEntries(rendered)
}
