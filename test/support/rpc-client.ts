import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import WebSocket, { type ClientOptions } from 'ws'

export interface RpcAnswer {
  jsonrpc: '2.0'
  id: unknown
  // Tests look into it as they need.
  result?: Record<string, unknown>
  error?: { code: number; message: string; data?: Record<string, unknown> }
}

export interface TurnNotification {
  method: string
  params: { turn: string; id: string | null; event: string; data: Record<string, unknown>; error?: RpcAnswer['error'] }
}

/** A JSON-RPC client over a real WebSocket: keeps what it gets, and hands it out as a test asks. */
export class RpcClient {
  readonly socket: WebSocket
  /** Everything that arrived and is no answer, in order. */
  readonly notifications: TurnNotification[] = []
  readonly closed: Promise<{ code: number; reason: string }>
  readonly #answers: unknown[] = []
  #changed = Promise.withResolvers<void>()
  #nextId = 1

  private constructor(socket: WebSocket) {
    this.socket = socket
    const closed = Promise.withResolvers<{ code: number; reason: string }>()
    this.closed = closed.promise
    socket.on('error', () => {})
    socket.on('close', (code, reason) => {
      closed.resolve({ code, reason: String(reason) })
      this.#wake()
    })
    socket.on('message', (data) => {
      const message = JSON.parse(String(data))
      if ('method' in message) this.notifications.push(message)
      else this.#answers.push(message)
      this.#wake()
    })
  }

  static async connect(url: string, specialist = 'plain', options: ClientOptions = {}): Promise<RpcClient> {
    const client = new RpcClient(new WebSocket(webSocketUrl(url, specialist), options))
    await once(client.socket, 'open')
    return client
  }

  /** Sends text as it is and gives the next answer. */
  async ask(text: string | Buffer, options: { binary?: boolean } = {}): Promise<RpcAnswer> {
    this.socket.send(text, { binary: options.binary ?? false })
    return this.nextAnswer()
  }

  call(method: string, params?: object): Promise<RpcAnswer> {
    return this.ask(JSON.stringify({ jsonrpc: '2.0', id: this.#nextId++, method, ...(params && { params }) }))
  }

  /** Answers are handed out in the order of their arrival; rejects once nothing can come any more. */
  async nextAnswer<Answer = RpcAnswer>(): Promise<Answer> {
    await this.#until(() => this.#answers.length > 0)
    return this.#answers.shift() as Answer
  }

  /** All notifications of a turn, once there is one that `isLast` accepts. */
  async eventsOf(
    turn: unknown,
    isLast: (event: string) => boolean = (event) => event.startsWith('turn.') && event !== 'turn.started',
  ): Promise<TurnNotification['params'][]> {
    const ofTurn = () => this.notifications.map(({ params }) => params).filter((params) => params.turn === turn)
    await this.#until(() => ofTurn().some(({ event }) => event !== undefined && isLast(event)))
    return ofTurn()
  }

  async nextNotification(method: string): Promise<TurnNotification> {
    const find = () => this.notifications.find((notification) => notification.method === method)
    await this.#until(() => find() !== undefined)
    return find() as TurnNotification
  }

  async close(): Promise<void> {
    this.socket.close()
    await this.closed
  }

  async #until(reached: () => boolean): Promise<void> {
    while (!reached()) {
      if (this.socket.readyState === WebSocket.CLOSED) throw new Error('The connection closed before.')
      await this.#changed.promise
    }
  }

  #wake(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
  }
}

/** What a handshake that is refused is answered with. */
export async function refusedHandshake(url: string, specialist = 'plain', options: ClientOptions = {}) {
  const socket = new WebSocket(webSocketUrl(url, specialist), options)
  socket.on('error', () => {})
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage]
  const body: string = (await response.setEncoding('utf8').toArray()).join('')
  return { status: response.statusCode, headers: response.headers, body: JSON.parse(body) }
}

function webSocketUrl(url: string, specialist: string): string {
  return `${url.replace(/^http/, 'ws')}/ws/v1/specialists/${specialist}`
}
