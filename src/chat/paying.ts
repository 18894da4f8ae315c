import type { Served } from '#events/events.ts'
import { type Principal, partitionOf } from '#identity/principal.ts'
import type { Answer, AnswerRequest, AnswerSink, Candidate, ChatMessage, Segment } from '#models/answer.ts'
import { promptRoom } from '#models/prompt-room.ts'
import type { TokenCounter } from './compaction.ts'
import { vetoesOf } from './not-stopped.ts'
import type { ChatRoom } from './turn-context.ts'

/** Who is answered, and what they are served from. */
export interface Payer {
  principal: Principal
  served: Served
}

/** An answer that is paid from the budgets of who asked, where any are set: each call reserves the most that it may cost. */
export async function answerPaid(
  room: Pick<ChatRoom, 'models' | 'stops' | 'budgets' | 'counter'>,
  { principal, served }: Payer,
  asked: AnswerRequest,
  sink: AnswerSink,
): Promise<Answer> {
  const { config, arm } = served
  const payer = { tenant: principal.tenant, person: partitionOf(principal) }
  const vetoes = room.stops && vetoesOf(room.stops)
  const request: AnswerRequest = { ...asked, ...payer, served: { config, arm }, vetoes }
  const spending = room.budgets?.spending(principal, served)
  if (!spending) return room.models.answer(request, sink)
  const before: AnswerRequest['before'] = async (candidate, messages, parameters) =>
    spending.reserve(await mostOf(candidate, messages, parameters, room.counter))
  const ended = (segment: Segment) => {
    spending.settle(segment.costUsd)
    sink.ended(segment)
  }
  try {
    return await room.models.answer({ ...request, before }, { ...sink, ended })
  } finally {
    spending.close()
  }
}

/** USD: the prompt, and the longest answer that was asked for or that the model gives, within its window. */
async function mostOf(
  { spec }: Candidate,
  messages: readonly ChatMessage[],
  { tools, max_completion_tokens: most, max_tokens: orMost, n }: Readonly<Record<string, unknown>>,
  counter: TokenCounter,
): Promise<number> {
  const { contextWindow, price } = spec
  const forTools = tools === undefined ? [] : [{ role: 'system' as const, content: JSON.stringify(tools) }]
  const prompt = Math.min(contextWindow, await counter.count([...messages, ...forTools]))
  const asked = [most, orMost].find((limit) => typeof limit === 'number')
  const longest = Math.min(asked ?? contextWindow - promptRoom(spec), contextWindow - prompt)
  const choices = typeof n === 'number' ? Math.max(1, n) : 1
  return (prompt * price.input + Math.max(0, longest) * choices * price.output) / 1_000_000
}
