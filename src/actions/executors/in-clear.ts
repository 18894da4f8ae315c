import { isLoopbackHost } from '#identity/local.ts'

/** Why the token of a user must not be sent to this address; undefined where it may. */
export function clearTextFault(url: URL): string | undefined {
  if (url.protocol !== 'http:' || isLoopbackHost(url.host)) return undefined
  return `needs https: at ${url.origin} the token of a user would be sent in the clear`
}
