import { Client } from 'pg'

/** Hangs up when signing in fails on our side (no token, say); `pg` leaves that to the server, which waits a minute. */
export class PostgresClient extends Client {
  override connect(): Promise<Client>
  override connect(callback: (error: Error | null) => void): void
  override connect(callback?: (error: Error | null) => void): Promise<Client> | undefined {
    if (!callback) return super.connect()
    super.connect((error: Error | null) => {
      if (error) this.connection.stream.destroy()
      callback(error)
    })
    return undefined
  }
}
