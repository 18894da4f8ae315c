import { once } from 'node:events'
import type { Server, Socket } from 'node:net'
import rhea, { type Connection, type Delivery, type EventContext, type Message, type Receiver, type Sender } from 'rhea'
import type { Entity, Part } from './entity.ts'
import type { Answers, Faults } from './faults.ts'
import { manage } from './management.ts'
import { readTransfer } from './stored-message.ts'

const { types } = rhea

export interface ServerOptions {
  entities: ReadonlyMap<string, Entity>
  faults: Faults
  answers: Answers
  maxMessageBytes: number
  count: (operation: 'sends' | 'requests') => void
}

const notFound = { condition: 'amqp:not-found', description: 'The messaging entity could not be found.' }

type Request = (message: Message) => { status: number; condition?: string; body?: unknown }

/** The broker as long as it runs: connections, links, and who is at their other end. */
export class BrokerServer {
  readonly #options: ServerOptions
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #links = new Set<Sender | Receiver>()
  #attached = 0

  constructor(options: ServerOptions, port: number) {
    this.#options = options
    const container = rhea.create_container({
      receiver_options: { max_message_size: options.maxMessageBytes, autoaccept: false },
      sender_options: { treat_modified_as_released: false },
    })
    container.sasl_server_mechanisms.enable_anonymous()
    container.on('sender_open', (context: EventContext) => context.sender && this.#senderOpened(context.sender))
    container.on('receiver_open', (context: EventContext) => context.receiver && this.#receiverOpened(context.receiver))
    container.on('disconnected', (context: EventContext) => this.#forget(context.connection))
    // A client that is cut off is what many tests are about.
    for (const event of ['error', 'connection_error', 'protocol_error', 'session_error']) container.on(event, () => {})
    this.#server = container.listen({ port, host: '127.0.0.1' })
    this.#server.on('connection', (socket: Socket) => {
      socket.setNoDelay(true)
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    })
  }

  get attached(): number {
    return this.#attached
  }

  async listening(): Promise<number> {
    if (!this.#server.listening) await once(this.#server, 'listening')
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('a broker without a port')
    return address.port
  }

  dropLinks(condition: string): void {
    for (const link of this.#links) link.close({ condition, description: 'The link was dropped by a test.' })
  }

  dropConnections(): void {
    // Without an error, rhea would not notice.
    for (const socket of this.#sockets) socket.destroy(new Error('The connection was dropped by a test.'))
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.dropConnections()
    await closed
  }

  /** Somebody wants to consume, or to have the answers to what is asked through another link. */
  #senderOpened(link: Sender): void {
    this.#attached += 1
    const address = link.source?.address ?? ''
    link.set_source({ address })
    // For answers, which find their way by the name of the link.
    if (/(^|\/)\$(cbs|management)$/.test(address)) return
    const part = this.#partAt(address)
    if (!part) return link.close(notFound)
    if (!this.#admitted(link)) return
    part.consumers.attach(link, this.#attached)
  }

  #receiverOpened(link: Receiver): void {
    const address = link.target?.address ?? ''
    link.set_target({ address })
    const management = address.match(/^(.*)\/\$management$/)?.[1]
    if (address === '$cbs') return this.#answer(link, (message) => this.#signIn(message))
    const part = this.#partAt(management ?? address)
    if (!part) return link.close(notFound)
    if (!this.#admitted(link)) return
    if (management !== undefined) return this.#answer(link, (message) => manage(part.queue, message))
    link.on('message', (context: EventContext) => this.#received(part, context))
  }

  /** By a signature for this address, which names the key that it was made with. */
  #signIn({ body }: Message): ReturnType<Request> {
    const { onlyKey } = this.#options.faults
    const isTaken = onlyKey === undefined || new URLSearchParams(String(body).split(' ')[1]).get('skn') === onlyKey
    return isTaken ? { status: 202 } : { status: 401, condition: 'amqp:unauthorized-access' }
  }

  #admitted(link: Sender | Receiver): boolean {
    const { refuseLinks } = this.#options.faults
    if (refuseLinks) link.close({ condition: refuseLinks, description: 'The link was refused by a test.' })
    else this.#links.add(link)
    link.on(link.is_sender() ? 'sender_close' : 'receiver_close', () => this.#links.delete(link))
    return refuseLinks === undefined
  }

  #received(part: Part, context: EventContext): void {
    const { delivery, message } = context
    if (!delivery || !message) return
    const { faults, answers, maxMessageBytes, count } = this.#options
    count('sends')
    const messages = readTransfer(message as Message | Buffer, delivery.format)
    const tooLarge = Buffer.isBuffer(message) && message.length > maxMessageBytes
    const condition = faults.refuseSends ?? (tooLarge ? 'amqp:link:message-size-exceeded' : undefined)
    if (!condition) for (const one of messages) part.queue.add(one)
    if (faults.swallowAcknowledgements) return
    answers.send(() => acknowledge(delivery, condition))
  }

  #answer(link: Receiver, request: Request): void {
    const { answers, count } = this.#options
    link.on('message', ({ delivery, message }: EventContext) => {
      if (!delivery || !message) return
      count('requests')
      delivery.accept()
      const { status, condition, body } = request(message as Message)
      const properties = {
        ...{ statusCode: types.wrap_int(status), 'status-code': types.wrap_int(status) },
        ...(condition && { errorCondition: condition, statusDescription: 'The request was refused.' }),
      }
      const reply = { correlation_id: message.message_id, application_properties: properties, body: body ?? {} }
      const replyTo = message.reply_to
      answers.send(() => {
        const back = link.session.find_sender((one: Sender) => one.name === replyTo)
        back?.send(reply as unknown as Message)
      })
    })
  }

  #partAt(address: string): Part | undefined {
    const [, name = '', dead] = address.match(/^(.*?)(\/\$DeadLetterQueue)?$/i) ?? []
    const entity = this.#options.entities.get(name)
    return dead ? entity?.dead : entity?.main
  }

  #forget(connection: Connection): void {
    // What is written after the end would only start the timer of heartbeats anew.
    Object.assign(connection, { socket_ready: false })
    for (const link of this.#links) {
      if (link.connection !== connection) continue
      this.#links.delete(link)
      for (const { main, dead } of this.#options.entities.values()) {
        for (const { consumers } of [main, dead]) consumers.forget(link as Sender)
      }
    }
  }
}

function acknowledge(delivery: Delivery, condition: string | undefined): void {
  if (!delivery.link.is_open()) return
  if (condition) delivery.reject({ condition, description: 'The message was refused.' })
  else delivery.accept()
}
