import type { IncomingHttpHeaders } from 'node:http'
import type { Principal } from './principal.ts'

/** Tells who is calling; rejects (or throws) with unauthenticated, forbidden, cross_site or identity_unavailable. */
export interface Authenticator {
  authenticate(facts: RequestFacts): Identified | Promise<Identified>
}

/** What a transport knows of a request or of a WebSocket's handshake. */
export interface RequestFacts {
  method: string
  headers: IncomingHttpHeaders
  remoteAddress: string | undefined
  /** Over TLS. */
  encrypted: boolean
}

export interface Identified {
  principal: Principal
  /** When the credential says nothing any more, ms since the epoch; undefined where it has no end. Streams end with it. */
  until?: number
  /**
   * Has the listener called, once, when the credential is taken away before that, on whichever replica, within a second; what it
   * returns stops it. Undefined where nobody can take it away. Streams end with it.
   */
  onEnded?: (listener: () => void) => () => void
}
