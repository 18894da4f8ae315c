import type { Chat } from '#chat/chat.ts'
import type { TurnEvent } from '#chat/turn-events.ts'
import { ParleyError } from '#errors.ts'
import type { Principal } from '#identity/principal.ts'
import type { Log } from '#log.ts'
import { formatEventId } from '../event-id.ts'
import { callError } from './call-error.ts'
import type { Connection } from './connection.ts'
import { renderNotification } from './json-rpc.ts'

/** The turns whose events go to one connection. When it closes they are no longer read; the turns themselves go on. */
export class FollowedTurns {
  readonly #chat: Chat
  readonly #principal: Principal
  readonly #connection: Connection
  readonly #log: Log
  readonly #atOnce: number
  readonly #followed = new Map<string, AbortController>()
  #places = 0

  constructor(chat: Chat, principal: Principal, connection: Connection, log: Log, atOnce: number) {
    this.#chat = chat
    this.#principal = principal
    this.#connection = connection
    this.#log = log
    this.#atOnce = atOnce
    connection.closed.addEventListener('abort', () => {
      for (const stop of this.#followed.values()) stop.abort()
    })
  }

  has(turn: string): boolean {
    return this.#followed.has(turn)
  }

  /** A place for one more turn, held until the returned function is called; throws rate_limited when all are taken. */
  takePlace(): () => void {
    if (this.#places >= this.#atOnce) {
      throw new ParleyError('rate_limited', { message: `This connection gets ${this.#atOnce} turns already.` })
    }
    this.#places += 1
    return () => {
      this.#places -= 1
    }
  }

  /** Sends the events after a position, until the terminal one. Whoever followed the turn here before stops. */
  async follow(turn: string, after: number): Promise<void> {
    this.#followed.get(turn)?.abort()
    const stop = new AbortController()
    this.#followed.set(turn, stop)
    if (this.#connection.closed.aborted) stop.abort()
    try {
      await this.#relay(turn, after, stop.signal)
    } catch (error) {
      if (!stop.signal.aborted) {
        const params = JSON.stringify({ turn, error: callError(error, this.#log, 'turn.event') })
        this.#connection.send(renderNotification('turn.interrupted', params))
      }
    } finally {
      if (this.#followed.get(turn) === stop) this.#followed.delete(turn)
    }
  }

  async #relay(turn: string, after: number, signal: AbortSignal): Promise<void> {
    const connection = this.#connection
    for await (const events of this.#chat.read(this.#principal, turn, after, signal)) {
      for (const event of events) {
        if (signal.aborted) return
        connection.send(renderEvent(turn, event))
        if (connection.needsDrain) await connection.drained()
      }
    }
  }
}

/** Its data is JSON already and is passed on as it is. */
function renderEvent(turn: string, { position, type, data }: TurnEvent): string {
  const id = position === undefined ? 'null' : `"${formatEventId(turn, position)}"`
  return renderNotification('turn.event', `{"turn":"${turn}","id":${id},"event":"${type}","data":${data}}`)
}
