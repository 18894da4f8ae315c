import { ParleyError } from '#errors.ts'
import type { Authenticator, Identified, RequestFacts } from './authenticator.ts'
import { type Principal, roles } from './principal.ts'

const LOCAL: Principal = { tenant: 'local', id: 'local', name: 'You', kind: 'user', roles, scopes: [] }

/**
 * Whoever sits at this machine, and nobody else: the connection comes from the loopback interface, `Host` names it (a foreign
 * name rebound to 127.0.0.1 does not), and `Origin`, where a browser sends one, is this very address or one of `trusted`. So no
 * other web page can use it, and no other machine.
 */
export function createLocalAuthenticator(trusted: readonly string[] = []): Authenticator {
  return {
    authenticate({ headers, remoteAddress, encrypted }: RequestFacts): Identified {
      if (!isLoopbackAddress(remoteAddress)) throw new ParleyError('unauthenticated')
      const { host, origin } = headers
      if (host === undefined || !isLoopbackHost(host)) {
        throw new ParleyError('cross_site', { message: 'Only requests addressed to localhost are served.' })
      }
      if (origin !== undefined && trusted.includes(origin)) return { principal: LOCAL }
      const own = `${encrypted ? 'https' : 'http'}://${host}`
      if (origin !== undefined && origin.toLowerCase() !== own.toLowerCase()) throw new ParleyError('cross_site')
      if (headers['sec-fetch-site'] === 'cross-site') throw new ParleyError('cross_site')
      return { principal: LOCAL }
    },
  }
}

/** True for an address that only processes of this machine can reach: `127.0.0.0/8`, `::1`, `localhost`. */
export function isLoopbackHost(host: string): boolean {
  const name = host === '::1' ? host : host.replace(/:\d+$/, '').toLowerCase()
  return name === 'localhost' || name === '[::1]' || name === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(name)
}

function isLoopbackAddress(address: string | undefined): boolean {
  return address !== undefined && (/^(::ffff:)?127\./.test(address) || address === '::1')
}
