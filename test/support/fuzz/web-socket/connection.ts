import { connect, type Socket } from 'node:net'
import { decodeFrames, encodeFrame, opcodes } from './frame.ts'

/** What the server answered a handshake with. */
export interface Shaken {
  status: number
  headers: Map<string, string>
  body: string
}

export interface Heard {
  opcode: number
  payload: Buffer
}

const HEAD_END = '\r\n\r\n'
const PATIENCE_MS = 60_000

/** A TCP connection for one handshake and what follows; it says nothing by itself but that it is there. */
export class FuzzConnection {
  readonly socket: Socket
  readonly heard: Heard[] = []
  /** What the server sent that no server may send. */
  broken: string | undefined
  port: number | undefined
  #bytes: Buffer = Buffer.alloc(0)
  #shaken: Shaken | undefined
  #isHead = false
  #changed = Promise.withResolvers<void>()

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
    this.socket.on('connect', () => {
      this.port = this.socket.localPort
    })
    this.socket.on('error', () => {})
    this.socket.on('data', (bytes: Buffer) => this.#take(bytes))
    for (const event of ['end', 'close']) this.socket.on(event, () => this.#wake())
  }

  /** What begins the connection. */
  shake(head: string): void {
    this.#isHead = head.startsWith('HEAD ')
    this.send(Buffer.from(head, 'latin1'))
  }

  send(bytes: string | Buffer): void {
    if (this.socket.writable) this.socket.write(bytes)
  }

  /** The answer to the handshake; undefined where there was none. */
  async shaken(): Promise<Shaken | undefined> {
    await this.until(() => this.#shaken !== undefined || this.hasEnded)
    return this.#shaken
  }

  get hasEnded(): boolean {
    return this.socket.readableEnded || this.socket.destroyed
  }

  /** Whether it came to that before patience ended. */
  async until(reached: () => boolean): Promise<boolean> {
    const end = AbortSignal.timeout(PATIENCE_MS)
    const wake = () => this.#wake()
    end.addEventListener('abort', wake)
    while (!reached() && !end.aborted) await this.#changed.promise
    end.removeEventListener('abort', wake)
    return reached()
  }

  #take(bytes: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes])
    if (this.#shaken?.status !== 101) this.#shake()
    if (this.#shaken?.status === 101 && this.broken === undefined) this.#read()
    this.#wake()
  }

  #read(): void {
    try {
      const { frames, rest } = decodeFrames(this.#bytes)
      this.heard.push(...frames)
      // Or it would be taken for one that is gone.
      for (const { opcode, payload } of frames)
        if (opcode === opcodes.ping) this.send(encodeFrame({ opcode: opcodes.pong, payload }))
      this.#bytes = rest
    } catch (error) {
      this.broken = String(error)
    }
  }

  #shake(): void {
    const at = this.#bytes.indexOf(HEAD_END)
    if (at === -1) return
    const [first = '', ...lines] = this.#bytes.subarray(0, at).toString('latin1').split('\r\n')
    const headers = new Map(
      lines.map((line): [string, string] => {
        const colon = line.indexOf(':')
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
      }),
    )
    const status = Number(first.split(' ')[1])
    const body = this.#bytes.subarray(at + HEAD_END.length)
    const length = status === 101 || this.#isHead ? 0 : Number(headers.get('content-length') ?? 0)
    if (body.length < length) return
    this.#bytes = body.subarray(length)
    this.#shaken = { status, headers, body: body.subarray(0, length).toString() }
  }

  #wake(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
  }
}
