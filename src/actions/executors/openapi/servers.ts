import { isObject, type Json, listOf, textOf, Unusable } from './references.ts'

/**
 * The address of the API without a slash at its end: the given one, or that of the first list of servers which has one.
 * Throws `Unusable`.
 */
export function baseOf(
  lists: readonly unknown[],
  { url, server }: { url?: string | undefined; server?: string | undefined },
): string {
  const first = lists.map((list) => listOf(list)[0]).find(isObject)
  const given = server ?? (first && withDefaults(first))
  if (given === undefined) throw new Unusable('is of a document that names no server')
  const address = URL.parse(given, url)
  if (!address || (address.protocol !== 'https:' && address.protocol !== 'http:')) {
    throw new Unusable(`is at no http(s) address: ${given}`)
  }
  if (address.username || address.password || address.search || address.hash) {
    throw new Unusable('is at an address with credentials, a query or a fragment')
  }
  return address.href.replace(/\/+$/, '')
}

function withDefaults({ url, variables }: Json): string | undefined {
  return textOf(url)?.replaceAll(/\{([^{}]*)\}/g, (_, name: string) => {
    const variable = isObject(variables) && Object.hasOwn(variables, name) ? variables[name] : undefined
    const value = isObject(variable) ? textOf(variable.default) : undefined
    if (value === undefined) throw new Unusable(`is at a server whose variable {${name}} has no default`)
    return value
  })
}
