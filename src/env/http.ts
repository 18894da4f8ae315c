import type { Reader } from './reader.ts'

/** Who may call from a page of elsewhere. */
export interface HttpEnv {
  /** Origins as browsers send them, such as `https://shop.example`. */
  corsOrigins: readonly string[]
}

export function readHttp(read: Reader, faults: string[]): HttpEnv {
  const corsOrigins = read.list('PARLEY_CORS_ORIGINS')
  if (!corsOrigins.every(isOrigin)) {
    faults.push(
      'PARLEY_CORS_ORIGINS has to be origins by comma, each in full and as browsers send it, such as https://shop.example; http only of this machine',
    )
  }
  return { corsOrigins }
}

function isOrigin(text: string): boolean {
  const { origin, protocol, hostname } = URL.parse(text) ?? {}
  if (!/^[\w.[\]:-]+$/.test(hostname ?? '')) return false
  const isLoopback = /^(localhost|127\.[\d.]+|\[::1\])$/.test(hostname ?? '')
  return origin === text && (protocol === 'https:' || (protocol === 'http:' && isLoopback))
}
