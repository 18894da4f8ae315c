import type { FollowUp, Run } from '#actions/port.ts'
import { cutOutput } from './cut-output.ts'
import { loadHistory } from './history.ts'
import { turnLimits } from './limits.ts'
import { callIdOf } from './prompt.ts'
import type { ChatRoom } from './turn-context.ts'

/**
 * The runs whose results the conversation does not hold yet. A producer may die just after it gave up waiting: its successor
 * waits anew, by the same keys, and may hear in the turn itself what is due to be reported after it.
 */
export async function unreportedRuns(
  room: Pick<ChatRoom, 'kv' | 'conversations'>,
  { principal, conversation, runs }: FollowUp,
): Promise<readonly Run[]> {
  const { messages } = await loadHistory(room, principal, conversation)
  const told = new Map(messages.flatMap(({ callId, content }) => (callId === undefined ? [] : [[callId, content]])))
  return runs.filter(({ key, output }) => {
    const answer = told.get(callIdOf(key))
    return answer === undefined || output === undefined || answer !== cutOutput(output, turnLimits.outputChars)
  })
}
