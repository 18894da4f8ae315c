import type { IncomingHttpHeaders } from 'node:http'
import type { Principal } from './principal.ts'

/** Tells who is calling; rejects (or throws) with unauthenticated, forbidden or cross_site. */
export interface Authenticator {
  authenticate(facts: RequestFacts): Principal | Promise<Principal>
}

/** What a transport knows of a request or of a WebSocket's handshake. */
export interface RequestFacts {
  headers: IncomingHttpHeaders
  remoteAddress: string | undefined
  /** Over TLS. */
  encrypted: boolean
}
