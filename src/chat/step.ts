import { ParleyError } from '#errors.ts'
import { mayAct } from '#identity/key-grant.ts'
import type { Answer, Candidate, ChatMessage, Segment } from '#models/answer.ts'
import { type Fitted, fitToWindow } from './compaction.ts'
import { jsonBytes } from './cut-output.ts'
import { turnLimits } from './limits.ts'
import { notStopped } from './not-stopped.ts'
import { answerPaid } from './paying.ts'
import { stepMessages } from './prompt.ts'
import type { TurnContext } from './turn-context.ts'
import { servedOf } from './turn-ended.ts'

const LIMIT_REACHED = {
  code: 'limit_reached',
  message: 'This turn may call no more actions; it ends with this answer.',
}

/** One call of a model by its route: its text streams into the log; its calls of actions, if any, end up there in one append. */
export async function runStep(turn: TurnContext): Promise<void> {
  const { room, config, input, progress, signal } = turn
  const { step, text: visible } = progress.current
  const isWithinLimits = step < turnLimits.steps - 1 && progress.calls < turnLimits.calls
  if (!isWithinLimits) turn.emit('notice', LIMIT_REACHED)
  // A report is all that is left to do without the user: nobody asked for more, and nobody is there to be acted for.
  const mayCall = isWithinLimits && input.followUp === null
  const tools = mayCall ? offeredTools(turn) : []
  const candidates = notStopped(turn.candidates, room.stops)
  const fitted = await fitCandidates(turn, candidates, tools)
  const completed: Segment[] = []
  let speaker: string | undefined

  const answer = await answerPaid(
    room,
    { principal: input.principal, served: servedOf(input) },
    {
      candidates: candidates.filter((candidate) => fitted.has(candidate)),
      timers: config.document.routes[config.document.specialists[input.specialist]?.route ?? ''] ?? {},
      parameters: parametersOf(turn, tools),
      messages: (candidate) => fitted.get(candidate)?.messages ?? [],
      ...(visible !== '' && { visible }),
      mode: 'text',
      signal,
      traceparent: turn.span.traceparent,
    },
    {
      speaker: (candidate) => {
        speaker = candidate.name
      },
      text: (text) => {
        if (text === '' || signal.aborted) return
        if (turn.startedAtMs !== null) turn.firstTokenMs ??= room.clock.monotonic() - turn.startedAtMs
        turn.emit('token', speaker === undefined ? { text } : { text, model: speaker })
        speaker = undefined
        if (progress.textChars > turnLimits.textChars) turn.stop('length')
      },
      seam: ({ model, reason, reset }) => {
        turn.emit('segment', reset ? { model, reason, reset } : { model, reason })
        speaker = undefined
      },
      ended: (segment) => {
        if (segment.outcome === 'completed') completed.push(segment)
        else turn.emit('usage', { ...segment, step })
      },
      flow: (flow) => turn.log.control(flow),
    },
  )
  record(turn, answer, completed, mayCall)
}

/** The end of the answer and its calls enter the log together: a successor sees all of it or none. */
function record(turn: TurnContext, answer: Answer, completed: readonly Segment[], mayCall: boolean): void {
  const { step } = turn.progress.current
  const finish = answer.finish === 'tool_calls' && answer.toolCalls.length === 0 ? 'stop' : answer.finish
  const callsAllTheSame = finish === 'tool_calls' && !mayCall
  for (const segment of completed) turn.emit('usage', { ...segment, step, ...(!callsAllTheSame && { finish }) })
  if (callsAllTheSame) throw new ParleyError('too_many_steps')
  if (finish !== 'tool_calls') return
  for (const [index, call] of answer.toolCalls.entries()) {
    const cut = call.arguments.slice(0, turnLimits.argumentChars)
    const isTooMuch = jsonBytes(cut) > turnLimits.callBytes - turn.progress.callBytes
    turn.emit('call', { step, index, action: call.name, arguments: isTooMuch ? '' : cut })
  }
}

function offeredTools({ room, config, input }: TurnContext): readonly unknown[] {
  const { principal, specialist } = input
  const ours = room.actions.tools(config, specialist).filter((tool) => mayAct(principal, tool.function.name))
  return [...ours, ...callerTools({ input })]
}

/** The tools that came with a request on `/v1`: their calls go back to the caller. */
export function callerTools(turn: Pick<TurnContext, 'input'>): readonly { function: { name: string } }[] {
  const tools = turn.input.alone?.parameters.tools
  return Array.isArray(tools) ? tools : []
}

/** The caller's own parameters; a forced tool choice holds for the first step only, or the turn would never end. */
function parametersOf({ input, progress }: TurnContext, tools: readonly unknown[]): Record<string, unknown> {
  const { tools: _, tool_choice: choice, ...parameters } = input.alone?.parameters ?? {}
  if (tools.length === 0) return parameters
  const forced = choice !== undefined && (choice === 'none' || progress.current.step === 0)
  return { ...parameters, tools, ...(forced && { tool_choice: choice }) }
}

async function fitCandidates(
  turn: TurnContext,
  candidates: readonly Candidate[],
  tools: readonly unknown[],
): Promise<Map<Candidate, Fitted>> {
  const { room, progress, prompt, input } = turn
  const messages: readonly ChatMessage[] = [
    ...prompt,
    ...progress.steps.flatMap((step) => stepMessages(input.turn, step)),
  ]
  const toolTokens = tools.length === 0 ? 0 : room.counter.bound([{ role: 'system', content: JSON.stringify(tools) }])
  const fitted = new Map<Candidate, Fitted>()
  for (const candidate of candidates) {
    const fit = await fitToWindow(messages, candidate, toolTokens, room.counter)
    if (fit) fitted.set(candidate, fit)
  }
  if (fitted.size === 0) throw new ParleyError('context_overflow')
  const omitted = Math.max(...[...fitted.values()].map((fit) => fit.omitted))
  if (omitted > 0 && turn.omittedMessages === 0) {
    turn.emit('notice', {
      code: 'history_compacted',
      message: 'The oldest messages were left out to fit the window of the model.',
    })
  }
  turn.omittedMessages = Math.max(turn.omittedMessages, omitted)
  return fitted
}
