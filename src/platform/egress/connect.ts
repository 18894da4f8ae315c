import { isIP, type LookupFunction, connect as openPlain, type Socket } from 'node:net'
import { connect as openSecure } from 'node:tls'
import { hostOf } from '../hosts.ts'

/**
 * A connection to the URL's host, its certificate verified where it is https, at one of `addresses` and nowhere else: no
 * name is resolved here. A host that is an address is taken as it is. Rejects with what the system says, or with the
 * signal's reason.
 */
export function connectTo(url: URL, addresses: readonly string[], signal: AbortSignal): Promise<Socket> {
  const host = hostOf(url)
  const secure = url.protocol === 'https:'
  const options = {
    host,
    port: Number(url.port || (secure ? 443 : 80)),
    lookup: pinned(addresses),
    // All addresses get their turn, a dead one does not use up the time of the others.
    autoSelectFamily: true,
    noDelay: true,
  }
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    const servername = isIP(host) === 0 ? host : ''
    const socket = secure
      ? openSecure({ ...options, servername, rejectUnauthorized: true, ALPNProtocols: ['http/1.1'] })
      : openPlain(options)
    const abandon = () => {
      socket.destroy()
      reject(signal.reason)
    }
    signal.addEventListener('abort', abandon, { once: true })
    socket.once(secure ? 'secureConnect' : 'connect', () => {
      signal.removeEventListener('abort', abandon)
      resolve(socket)
    })
    // Stays on: a connection may break while nobody else looks after it yet.
    socket.on('error', (error) => {
      signal.removeEventListener('abort', abandon)
      reject(error)
    })
  })
}

function pinned(addresses: readonly string[]): LookupFunction {
  const answers = addresses.map((address) => ({ address, family: isIP(address) }))
  return (_host, { all }, answer) => {
    const [first] = answers
    if (!first) return answer(new Error('There is no address to connect to.'), '')
    if (all) answer(null, answers)
    else answer(null, first.address, first.family)
  }
}
