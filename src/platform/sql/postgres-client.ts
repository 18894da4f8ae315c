import { Client, type ClientConfig } from 'pg'

export interface ClientOptions {
  /** How to connect, asked for each connection: the password may be another one than when the pool was made. */
  connection: () => ClientConfig
  /** The server does not take the password. */
  onUnauthorized: (() => void) | undefined
}

/** `invalid_authorization_specification`, `invalid_password`. */
const UNAUTHORIZED: ReadonlySet<unknown> = new Set(['28000', '28P01'])

/** Hangs up when signing in fails on our side (no token, say); `pg` leaves that to the server, which waits a minute. */
export function postgresClient({ connection, onUnauthorized }: ClientOptions): typeof Client {
  return class PostgresClient extends Client {
    constructor(config?: string | ClientConfig) {
      super({ ...(typeof config === 'object' && config), ...connection() })
    }

    override connect(): Promise<Client>
    override connect(callback: (error: Error | null) => void): void
    override connect(callback?: (error: Error | null) => void): Promise<Client> | undefined {
      if (!callback) return super.connect()
      super.connect((error: Error | null) => {
        if (error) this.connection.stream.destroy()
        if (error && 'code' in error && UNAUTHORIZED.has(error.code)) onUnauthorized?.()
        callback(error)
      })
      return undefined
    }
  }
}
