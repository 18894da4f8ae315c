import type { ConversationRequest } from '#chat/chat.ts'
import { ParleyError } from '#errors.ts'
import type { Principal } from '#identity/principal.ts'
import { checkDepth } from '../arguments-depth.ts'
import { parseEventId, positionIn } from '../event-id.ts'
import { checkMessage } from '../message-text.ts'
import type { NativeDeps, ServedActions } from '../native-deps.ts'
import { checkReason, checkRunId } from '../run-answers.ts'
import type { FollowedTurns } from './followed-turns.ts'
import { paramsReader } from './params.ts'
import { ApproveParams, CancelParams, ChatParams, RejectParams, ResumeParams } from './schema.ts'

export interface Outcome {
  result: unknown
  /** What follows the answer on the wire. */
  afterwards?: () => void
}

export type Methods = Readonly<Record<string, (params: object) => Outcome | Promise<Outcome>>>

interface Beginning {
  result: { turn: string }
  after: number
}

export interface MethodDeps extends Pick<NativeDeps, 'chat' | 'limits'> {
  /** Throws overloaded while this replica takes nothing new. */
  checkLoad(): void
  actions: Pick<ServedActions, 'approve' | 'reject'>
}

const readChat = paramsReader(ChatParams)
const readResume = paramsReader(ResumeParams)
const readCancel = paramsReader(CancelParams)
const readApprove = paramsReader(ApproveParams)
const readReject = paramsReader(RejectParams)

/** What can be called on one connection. */
export function createMethods(
  deps: MethodDeps,
  principal: Principal,
  about: ConversationRequest,
  turns: FollowedTurns,
): Methods {
  const { actions, chat, limits, checkLoad } = deps
  let own: Promise<string> | undefined

  /** The connection's own conversation, begun when first needed. */
  function ownConversation(): Promise<string> {
    own ??= chat.createConversation(principal, about).then(
      ({ id }) => id,
      (error) => {
        own = undefined
        throw error
      },
    )
    return own
  }

  /** Holds a place while `begin` finds out which turn it is for, and then as long as that turn is followed. */
  async function following(begin: () => Promise<Beginning>): Promise<Outcome> {
    const leavePlace = turns.takePlace()
    try {
      const { result, after } = await begin()
      return { result, afterwards: () => void turns.follow(result.turn, after).finally(leavePlace) }
    } catch (error) {
      leavePlace()
      throw error
    }
  }

  return {
    ping: () => ({ result: 'pong' }),

    chat: (params) =>
      following(async () => {
        checkLoad()
        const { message, conversation, idempotencyKey } = readChat(params)
        checkMessage(message, limits.messageBytes)
        const {
          id,
          conversation: where,
          config,
          arm,
        } = await chat.start(principal, {
          in: { conversation: conversation ?? (await ownConversation()) },
          message,
          ...(idempotencyKey !== undefined && { idempotencyKey }),
        })
        return { result: { turn: id, conversation: where, config, arm }, after: -1 }
      }),

    resume: (params) =>
      following(async () => {
        const { turn, ...given } = readResume(params)
        const after = positionOf(turn, given)
        const { conversation, config, arm, status, position } = await chat.get(principal, turn)
        if (after > position) {
          throw new ParleyError('bad_position', { message: 'The turn has not come that far.' })
        }
        return { result: { turn, conversation, config, arm, status }, after }
      }),

    cancel: async (params) => {
      const { turn } = readCancel(params)
      await chat.cancel(principal, turn)
      return { result: { turn } }
    },

    approve: async (params) => {
      const { run, ...decision } = readApprove(params)
      checkDepth(decision.edited, limits.runs.argumentsDepth, 'edited')
      return { result: await actions.approve(principal, checkRunId(run), decision) }
    },

    reject: async (params) => {
      const { run, reason } = readReject(params)
      return { result: await actions.reject(principal, checkRunId(run), checkReason(reason, 'reason')) }
    },
  }
}

function positionOf(turn: string, { after, lastEventId }: { after?: number; lastEventId?: string }): number {
  if (lastEventId === undefined) return after ?? -1
  if (after !== undefined) {
    throw new ParleyError('invalid_request', { message: '`after` and `lastEventId` say the same; give one of them.' })
  }
  return positionIn(turn, parseEventId(lastEventId, 'lastEventId'), 'lastEventId')
}
