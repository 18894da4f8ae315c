import { cloudOf } from './entra-clouds.ts'
import type { Reader } from './reader.ts'

/** Who may call: whoever sits at this machine, or whom Entra ID knows. */
export type IdentityEnv =
  | { engine: 'local' }
  | {
      engine: 'entra'
      authority: string
      /** Who issues v1 tokens; tenants' names come after it. */
      v1Issuer: string
      /** Microsoft Graph, where it is known. */
      graph: string | undefined
      /** The home tenant, which operates. */
      tenant: string
      clientId: string
      /** For sign-in of browsers and for tokens on behalf of users. */
      clientSecret: string | undefined
      /** Whom tokens may be for: the client id, `api://` with it, and others that were named. */
      audiences: readonly string[]
      /** The delegated permission of clients that call for users. */
      scope: string
      /** Tenants that use, and do not operate. */
      guests: readonly string[]
      /** Where browsers find us, for sign-in. */
      publicUrl: string
    }

export function readIdentity(read: Reader, host: string, faults: string[]): IdentityEnv {
  // As tokens have them, however they are written here.
  const tenant = read.text('ENTRA_TENANT_ID')?.toLowerCase()
  const clientId = read.text('ENTRA_CLIENT_ID')
  const clientSecret = read.text('ENTRA_CLIENT_SECRET')
  const guests = read.list('PARLEY_ENTRA_GUESTS').map((id) => id.toLowerCase())
  const cloud = cloudOf(read.url('PARLEY_ENTRA_AUTHORITY', ['https:']) ?? 'https://login.microsoftonline.com')
  const graph = read.url('PARLEY_ENTRA_GRAPH', ['https:'])?.replace(/\/+$/, '') ?? cloud.graph
  if (tenant === undefined || clientId === undefined) {
    const isHalfSet = [tenant, clientId, clientSecret, guests[0]].some((value) => value !== undefined)
    if (isHalfSet) faults.push('Entra ID needs ENTRA_TENANT_ID and ENTRA_CLIENT_ID')
    return { engine: 'local' }
  }
  if (![tenant, ...guests].every((id) => /^[\w.-]{1,128}$/.test(id))) {
    faults.push('ENTRA_TENANT_ID and PARLEY_ENTRA_GUESTS have to be ids of tenants')
  }
  const audiences = [clientId, `api://${clientId}`, ...read.list('PARLEY_ENTRA_AUDIENCES')]
  const scope = read.text('PARLEY_ENTRA_SCOPE') ?? 'access_as_user'
  const publicUrl = read.url('PARLEY_PUBLIC_URL', ['https:', 'http:']) ?? `http://${host}:${read.text('PORT') ?? 8080}`
  const { protocol, hostname } = URL.parse(publicUrl) ?? { protocol: '', hostname: '' }
  if (protocol === 'http:' && !/^(localhost|127\.[\d.]+|\[::1\])$/.test(hostname) && read.text('PARLEY_PUBLIC_URL')) {
    faults.push('PARLEY_PUBLIC_URL has to be https, since it is where people sign in')
  }
  const isLoopback = /^(localhost|127\.[\d.]+|::1)$/.test(host)
  if (clientSecret !== undefined && !isLoopback && read.text('PARLEY_PUBLIC_URL') === undefined) {
    faults.push('PARLEY_PUBLIC_URL is needed where browsers sign in: it is where the authority sends them back to')
  }
  return {
    engine: 'entra',
    authority: cloud.authority,
    v1Issuer: cloud.v1Issuer,
    graph,
    tenant,
    clientId,
    get clientSecret() {
      return read.text('ENTRA_CLIENT_SECRET')
    },
    audiences,
    scope,
    guests,
    publicUrl,
  }
}
