import type { TurnEvents, TurnEventType } from '#chat/turn-events.ts'
import type { LoggedEvent } from './chat-stream.ts'
import type { Host } from './command.ts'
import { brief, plainText } from './plain-text.ts'

/** The answer to stdout as it comes, and what happens beside it to stderr. */
export class ChatView {
  readonly #host: Host
  readonly #isJson: boolean
  /** The text of the turn that was written. */
  #text = ''
  /** Whether something stands on the line already. */
  #isWithin = false
  /** Whether a question stands there, and waits for its answer. */
  #isAsking = false
  /** What can wait until it does not tear the answer. */
  readonly #later: string[] = []

  constructor(host: Host, isJson: boolean) {
    this.#host = host
    this.#isJson = isJson
  }

  show({ id, type, data }: LoggedEvent): void {
    if (this.#isJson) return this.#host.out(`${JSON.stringify({ id, event: type, data: JSON.parse(data) })}\n`)
    if (Object.hasOwn(this.#effects, type)) this.#effects[type as TurnEventType]?.(JSON.parse(data))
  }

  /** A line of its own beside the answer; it may hold what others wrote. */
  aside(text: string): void {
    this.#endLine()
    this.#host.err(`${plainText(text)}\n`)
  }

  /** The line is lost, and asked for again: the answer goes on where it stands. */
  lost(): void {
    this.#leaveQuestion()
    if (this.#isWithin && this.#host.columns !== undefined) this.#host.err('\n')
    this.#host.err('Reconnecting; nothing is lost.\n')
  }

  /** A question is asked, or it no longer is. */
  asking(isAsking: boolean): void {
    if (isAsking) this.#endLine()
    this.#isAsking = isAsking
  }

  /** The turn is over, or is left. */
  end(): void {
    this.#endLine()
    this.#text = ''
    for (const text of this.#later.splice(0)) this.aside(text)
  }

  readonly #effects: { [Type in TurnEventType]?: (data: TurnEvents[Type]) => void } & Record<
    string,
    ((data: never) => void) | undefined
  > = {
    token: ({ text }: TurnEvents['token']) => this.#write(text),
    snapshot: ({ text }: TurnEvents['snapshot']) => {
      if (!text.startsWith(this.#text)) return this.#startOver(text)
      this.#write(text.slice(this.#text.length))
    },
    segment: ({ model, reason, reset }: TurnEvents['segment']) => {
      const why = reason.replaceAll('_', ' ')
      if (!reset) return void this.#later.push(`(continued by ${model}: ${why})`)
      this.aside(`(started over by ${model}: ${why})`)
      this.#text = ''
    },
    call: ({ action, arguments: given }: TurnEvents['call']) => this.aside(`> ${action} ${brief(given)}`),
    run: ({ action, status, output }: TurnEvents['run']) => {
      if (output !== undefined) this.aside(`< ${action} ${status}: ${brief(output)}`)
      else if (status === 'retrying') this.aside(`< ${action} is tried again`)
    },
    notice: ({ message }: TurnEvents['notice']) => this.aside(`(${message})`),
    'turn.completed': ({ finish }: TurnEvents['turn.completed']) => {
      if (finish === 'length') this.#later.push('(The model reached its greatest length.)')
      if (finish === 'content_filter') this.#later.push('(The content filter of the model ended the answer.)')
    },
    'turn.cancelled': () => void this.#later.push('(cancelled)'),
  }

  #startOver(text: string): void {
    this.#endLine()
    this.#text = ''
    this.#write(text)
  }

  #write(text: string): void {
    if (text === '') return
    this.#leaveQuestion()
    this.#text += text
    this.#isWithin = !text.endsWith('\n')
    this.#host.out(this.#host.columns === undefined ? text : plainText(text))
  }

  #endLine(): void {
    this.#leaveQuestion()
    if (this.#isWithin) this.#host.out('\n')
    this.#isWithin = false
  }

  #leaveQuestion(): void {
    if (this.#isAsking) this.#host.err('\n')
    this.#isAsking = false
  }
}
