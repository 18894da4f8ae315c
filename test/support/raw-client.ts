import { connect, type Socket } from 'node:net'

/** A TCP client that sends what it is told, byte for byte, and keeps what it gets. */
export class RawClient {
  readonly socket: Socket
  readonly closed: Promise<void>
  #received: Buffer[] = []
  #changed = Promise.withResolvers<void>()

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    this.socket.on('data', (bytes: Buffer) => {
      this.#received.push(bytes)
      this.#wake()
    })
    this.socket.on('error', () => {})
    this.socket.on('end', () => this.socket.end())
    const closed = Promise.withResolvers<void>()
    this.socket.on('close', () => {
      closed.resolve()
      this.#wake()
    })
    this.closed = closed.promise
  }

  get received(): string {
    return Buffer.concat(this.#received).toString('utf8')
  }

  /** How many pieces arrived. */
  get reads(): number {
    return this.#received.length
  }

  send(bytes: string | Buffer): this {
    this.socket.write(bytes)
    return this
  }

  /** Resolves with all that was received once it contains `part`; rejects when the connection closes before. */
  async until(part: string): Promise<string> {
    while (!this.received.includes(part)) {
      if (this.socket.closed) throw new Error(`Closed before ${JSON.stringify(part)}: ${this.received}`)
      await this.#changed.promise
    }
    return this.received
  }

  /** All that was received until the other side closed. */
  async untilClosed(): Promise<string> {
    await this.closed
    return this.received
  }

  destroy(): void {
    this.socket.destroy()
  }

  #wake(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
  }
}
