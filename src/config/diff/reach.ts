import type { OpenApiSpec } from '../action-spec.ts'
import type { Weakening } from '../diff.ts'
import type { ConfigDocument } from '../document.ts'
import { isObject, own } from './json.ts'

/** Something outside that a version makes use of. */
interface Reach {
  /** Two that are the same have the same. */
  key: string
  path: string
  message: string
}

/** Hosts, accounts, commands and rights of users that the version before made no use of, each once. */
export function reachWeakenings(before: ConfigDocument, after: ConfigDocument): Weakening[] {
  const seen = new Set(reachesOf(before).map(({ key }) => key))
  return reachesOf(after).flatMap(({ key, path, message }) => {
    if (seen.has(key)) return []
    seen.add(key)
    return [{ kind: 'host' as const, path, message }]
  })
}

function reachesOf({ models, actions = {}, mcpServers = {}, openapi = {} }: ConfigDocument): Reach[] {
  return [
    ...Object.entries(models).flatMap(([name, { provider, baseUrl }]) => {
      const path = `models.${name}`
      if (baseUrl !== undefined) return hosts('Conversations', `${path}.baseUrl`, baseUrl)
      if (provider === 'offline') return []
      const account = provider === 'azure-openai' ? 'Azure OpenAI' : 'OpenAI'
      return [{ key: account, path: `${path}.provider`, message: `Conversations go to the ${account} account.` }]
    }),
    ...Object.entries(actions).flatMap(([name, { http }]) => {
      if (!http) return []
      const path = `actions.${name}.http`
      return [
        ...hosts('Calls of actions', `${path}.url`, http.url),
        ...(http.dryRun ? hosts('Calls of actions', `${path}.dryRun.url`, http.dryRun.url) : []),
        ...scopes(path, http.onBehalfOf),
      ]
    }),
    ...Object.entries(mcpServers).flatMap(([name, { url, command, onBehalfOf }]) => {
      const path = `mcpServers.${name}`
      const started = command?.map((word) => JSON.stringify(word)).join(' ')
      return [
        ...(url === undefined ? [] : hosts('Calls of actions', `${path}.url`, url)),
        ...(started === undefined
          ? []
          : [{ key: `command ${started}`, path: `${path}.command`, message: `The command ${started} is started.` }]),
        ...scopes(path, onBehalfOf),
      ]
    }),
    ...Object.entries(openapi).flatMap(([name, spec]) => {
      const path = `openapi.${name}`
      return [
        ...addressesOf(spec).flatMap(([field, url]) => hosts('Calls of actions', `${path}.${field}`, url)),
        ...scopes(path, spec.onBehalfOf),
      ]
    }),
  ]
}

/** By origin: the same host without TLS is another. What cannot be read as an address never became part of a sound version. */
function hosts(what: string, path: string, address: string): Reach[] {
  const origin = URL.parse(address)?.origin
  return origin === undefined ? [] : [{ key: `${what} ${origin}`, path, message: `${what} go to ${origin}.` }]
}

function scopes(path: string, scope: string | undefined): Reach[] {
  if (scope === undefined) return []
  return [
    { key: `scope ${scope}`, path: `${path}.onBehalfOf`, message: `Actions use the rights of users for ${scope}.` },
  ]
}

/** Where an OpenAPI document is, and the servers that it may name: its own, those of a path and those of an operation. */
function addressesOf({ url, server, document }: OpenApiSpec): [field: string, address: string][] {
  const own: [string, string][] = url === undefined ? [] : [['url', url]]
  if (server !== undefined) return [...own, ['server', server]]
  return [...own, ...serversOf(document).map((address): [string, string] => ['document.servers', address])]
}

function serversOf(document: unknown): string[] {
  const paths = Object.values(objectOf(own(document, 'paths')))
  const operations = paths.flatMap((path) => Object.values(objectOf(path)))
  return [document, ...paths, ...operations].flatMap((place) => {
    const servers = own(place, 'servers')
    return Array.isArray(servers) ? servers.flatMap(addressOf) : []
  })
}

/** With the defaults of its variables; the rest of the address may keep them. */
function addressOf(server: unknown): string[] {
  const url = own(server, 'url')
  if (typeof url !== 'string') return []
  return [
    url.replaceAll(/\{([^{}]*)\}/g, (_, name: string) => String(own(own(own(server, 'variables'), name), 'default'))),
  ]
}

function objectOf(value: unknown): object {
  return isObject(value) ? value : {}
}
