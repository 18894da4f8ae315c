import type { Run, RunStatus } from '#actions/port.ts'
import type { Answer, Segment } from '#models/answer.ts'
import { jsonBytes } from './cut-output.ts'
import { dataOf } from './event-codec.ts'
import type { TurnEvent, TurnEvents, TurnEventType } from './turn-events.ts'

/**
 * Where a turn stands, folded from its events. The producer applies what it emits, a successor what it reads from the log:
 * both go on from the same state.
 */
export class Progress {
  /** Steps whose calls were all answered. */
  readonly steps: StepProgress[] = []
  /** The step that runs now. */
  current: StepProgress = newStep(0)
  readonly segments: (Segment & { step: number })[] = []
  readonly runs = new Map<string, { id: string; action: string; status: RunStatus }>()
  /** Position of the next event. */
  next = 0
  /** Length of all text that came, forgotten text included. */
  textChars = 0
  /** What all calls and their results take, in bytes of JSON. */
  callBytes = 0
  /** Set by a terminal event. */
  ended = false

  /** The number of calls of all steps. */
  get calls(): number {
    return this.steps.reduce((sum, step) => sum + step.calls.length, this.current.calls.length)
  }

  /** All text that a reader sees, resets applied. */
  get text(): string {
    return this.steps.map((step) => step.text).join('') + this.current.text
  }

  apply<Type extends TurnEventType>(type: Type, data: TurnEvents[Type]): void {
    this.next += 1
    const apply: ((data: TurnEvents[Type]) => void) | undefined = this.#handlers[type]
    apply?.(data)
  }

  replay(event: TurnEvent): void {
    this.apply(event.type, dataOf(event))
  }

  readonly #handlers: { [Type in TurnEventType]?: (data: TurnEvents[Type]) => void } = {
    token: ({ text, model }) => {
      this.#enter(this.current.calls.length > 0 ? this.current.step + 1 : this.current.step)
      this.current.text += text
      this.current.metering = true
      this.textChars += text.length
      if (model) this.current.model = model
    },
    segment: ({ model, reset }) => {
      this.#enter(this.current.calls.length > 0 ? this.current.step + 1 : this.current.step)
      this.current.model = model
      if (reset) this.current.text = ''
    },
    usage: ({ finish, ...segment }) => {
      this.#enter(segment.step)
      this.segments.push(segment)
      this.current.metering = false
      if (finish) this.current.finish = finish
    },
    call: ({ step, index, action, arguments: args }) => {
      this.#enter(step)
      this.callBytes += jsonBytes(args)
      this.current.calls.push({
        index,
        action,
        arguments: args,
        status: 'requested',
        output: undefined,
        approval: undefined,
      })
    },
    run: ({ id, action, status, index, output, approval }) => {
      this.runs.set(id, { id, action, status })
      const call = this.current.calls.find((candidate) => candidate.index === index)
      if (!call) return
      this.callBytes += jsonBytes(output ?? '') - jsonBytes(call.output ?? '')
      call.status = status
      call.output = output
      call.approval = approval
    },
    'turn.completed': () => this.#end(),
    'turn.failed': () => this.#end(),
    'turn.cancelled': () => this.#end(),
  }

  #end(): void {
    this.ended = true
  }

  /** Text or usage of a later step closes the one before it. */
  #enter(step: number): void {
    if (step <= this.current.step) return
    this.steps.push(this.current)
    this.current = newStep(step)
  }

  /** Closes a step whose calls have all been answered. */
  advance(): void {
    this.#enter(this.current.step + 1)
  }
}

export interface StepProgress {
  step: number
  text: string
  /** Text has come whose usage has not. */
  metering: boolean
  /** Who said it. */
  model: string | undefined
  /** Set once the model's answer is complete. */
  finish: Answer['finish'] | undefined
  calls: CallProgress[]
}

export interface CallProgress {
  index: number
  action: string
  arguments: string
  status: RunStatus
  output: string | undefined
  /** While it awaits approval. */
  approval: Run['approval']
}

function newStep(step: number): StepProgress {
  return { step, text: '', metering: false, model: undefined, finish: undefined, calls: [] }
}
