import type { ClientConfig } from 'pg'
import { ParleyError } from '#errors.ts'
import type { TokenSource } from '../credential.ts'

const scope = 'https://ossrdbms-aad.database.windows.net/.default'

/**
 * How to connect to the server that a URL names; what its query says (`sslmode`, `application_name`, …) is taken as `pg` takes
 * it. With a credential, only host, port, user and database count: each connection signs in with a token, over TLS with a
 * verified certificate unless it stays on this machine.
 */
export function connectionOf(url: string, credential: TokenSource | undefined): ClientConfig {
  if (!credential) return { connectionString: url }
  const { hostname, port, username, pathname, searchParams } = new URL(url)
  const isLocal = ['localhost', '127.0.0.1', '[::1]'].includes(hostname)
  const mode = searchParams.get('sslmode')
  if (mode === 'disable' && !isLocal) {
    throw new ParleyError('environment_invalid', {
      message: 'DATABASE_URL says sslmode=disable, and a token must not be sent in the clear.',
    })
  }
  return {
    host: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port || 5432),
    user: decodeURIComponent(username),
    database: decodeURIComponent(pathname.slice(1)),
    password: async () => (await credential.token(scope)).token,
    ssl: !isLocal || (mode !== null && mode !== 'disable'),
  }
}
