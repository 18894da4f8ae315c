import { isIP, isIPv6 } from 'node:net'

interface Entry {
  /** As a URL spells it; of a suffix, with its leading dot. */
  name: string
  suffix: boolean
  /** Undefined: any. */
  port: string | undefined
}

const ENTRY = /^(\*\.)?(\[[^\]]+\]|[^\s:/?#@\\[\]*]+)(?::(\d{1,5}))?$/
const DEFAULT_PORTS: Readonly<Record<string, string>> = { 'http:': '80', 'https:': '443' }

/**
 * Tells whether a URL may be called: http or https, without credentials in it, its host on the list. An entry is a `host`
 * (any port), a `host:port`, or `*.suffix` for the names below it. An address is on the list only as it stands there.
 * Throws when an entry cannot be read.
 */
export function hostRules(list: readonly string[]): (url: URL) => boolean {
  const entries = list.map(entryOf)
  return (url) => {
    const port = url.port || DEFAULT_PORTS[url.protocol]
    if (port === undefined || !Object.hasOwn(DEFAULT_PORTS, url.protocol) || url.username || url.password) return false
    return entries.some((entry) => (entry.port === undefined || entry.port === port) && names(entry, url))
  }
}

/** The host of a URL as sockets want it: an IPv6 address without its brackets. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '')
}

function names({ name, suffix }: Entry, url: URL): boolean {
  if (!suffix) return url.hostname === name
  return isIP(hostOf(url)) === 0 && url.hostname.endsWith(name)
}

function entryOf(text: string): Entry {
  const [, wildcard, host, port] = ENTRY.exec(isIPv6(text) ? `[${text}]` : text) ?? []
  const name = host === undefined ? undefined : URL.parse(`http://${host}`)?.hostname
  if (name === undefined || (wildcard && isIP(name) !== 0)) {
    throw new Error(`"${text}" is not a host that can be permitted: give host, host:port or *.suffix.`)
  }
  const suffix = wildcard !== undefined
  return { name: suffix ? `.${name}` : name, suffix, port: port === undefined ? undefined : String(Number(port)) }
}
