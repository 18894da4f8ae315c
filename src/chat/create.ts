import type { ConfigVersion } from '#config/document.ts'
import { ParleyError } from '#errors.ts'
import type { Admission } from '#governance/admission.ts'
import type { Principal } from '#identity/principal.ts'
import { countMessages, maxTokens } from '#models/tokenizer.ts'
import type { Chat, Feedback, StartedTurn, TurnRequest } from './chat.ts'
import type { TokenCounter } from './compaction.ts'
import { deleteConversation } from './delete-conversation.ts'
import { FollowUps } from './follow-ups.ts'
import { type Opening, type Setting, startTurn } from './open-turn.ts'
import { Producers } from './producers.ts'
import { readTurn } from './read-turn.ts'
import { addresseeOf, addresseesOf, relay } from './relay.ts'
import { Relays } from './relays.ts'
import { cancelTurn, noteFeedback } from './store/commands.ts'
import { placeOf, replicaKey, turnKeys } from './store/turn-keys.ts'
import { Sweeper } from './sweeper.ts'
import type { ChatRoom } from './turn-context.ts'
import type { Arm } from './turn-events.ts'
import { viewTurn } from './view.ts'

export interface ChatOptions extends Omit<ChatRoom, 'counter'> {
  admission: Admission
  /** Draws the version and the arm of what starts now. */
  assign(principal: Principal): { config: ConfigVersion; arm: Arm }
}

const counter: TokenCounter = {
  bound: (messages) => maxTokens(JSON.stringify(messages)),
  count: countMessages,
}

/** Builds the chat and starts what it does by itself: the upkeep of leases, the sweeper, follow-ups. `drain` ends it. */
export function createChat(options: ChatOptions): Chat {
  const { admission, assign, ...shared } = options
  const room: ChatRoom = { ...shared, counter }
  const { kv, conversations, configs, models } = room
  const producers = new Producers(room)
  const sweeper = new Sweeper(room, producers)
  const followUps = new FollowUps(room, start)
  const relays = new Relays()
  let draining = false

  function refuseWhileDraining(): void {
    if (draining) throw new ParleyError('shutting_down', { retryAfterMs: 1000 })
  }

  async function settingOf(principal: Principal, where: TurnRequest['in']): Promise<Setting> {
    if ('conversation' in where) {
      // That it still exists is checked as the turn opens.
      const { specialist, config, arm } = await conversations.pins(principal, where.conversation)
      const version = configs.get(config) ?? configs.current()
      return { conversation: where.conversation, specialist, config: version, arm }
    }
    return { conversation: null, specialist: where.specialist, ...assign(principal) }
  }

  async function cancel(principal: Principal, turn: string): Promise<void> {
    const result = await kv.run(cancelTurn, [turnKeys(principal, turn).turn], [])
    if (result.kind === 'gone') throw new ParleyError('turn_not_found')
    if (result.kind === 'done') throw new ParleyError('turn_finished')
    if (!producers.cancel(turn)) await kv.signal(replicaKey(result.owner), turn)
  }

  async function start(principal: Principal, request: Opening): Promise<StartedTurn> {
    refuseWhileDraining()
    const admitted = admission.admit(principal)
    try {
      const setting = await settingOf(principal, request.in)
      if (!Object.hasOwn(setting.config.document.specialists, setting.specialist)) {
        throw new ParleyError('specialist_not_found')
      }
      return await startTurn(room, producers, principal, request, setting, () => admitted.release())
    } catch (error) {
      admitted.release()
      throw error
    }
  }

  return {
    start,

    read: (principal, turn, after, signal) => readTurn(room, producers, principal, turn, after, signal),

    get: (principal, turn) => viewTurn(room, principal, turn),

    cancel,

    deleteConversation: (principal, id) => deleteConversation(room, producers, cancel, principal, id),

    async feedback(principal, turn, feedback: Feedback) {
      const at = turnKeys(principal, turn).turn
      const seal = await conversations.seal(principal)
      const result = await kv.run(noteFeedback, [at], [seal.seal(JSON.stringify(feedback), placeOf(at, 'feedback'))])
      if (result === 'gone') throw new ParleyError('turn_not_found')
      if (result === 'running') throw new ParleyError('turn_running')
    },

    addressee: (model) => addresseeOf(configs.current(), model),
    addressees: () => addresseesOf(configs.current()),

    async relay(principal, request, sink) {
      refuseWhileDraining()
      const admitted = admission.admit(principal)
      try {
        const { config } = assign(principal)
        return await relays.run(request.abort, () => relay(models, config, request, sink))
      } finally {
        admitted.release()
      }
    },

    get live() {
      return producers.size + relays.size
    },

    async drain(graceMs) {
      draining = true
      await Promise.all([sweeper.stop(), followUps.stop()])
      await Promise.all([producers.drain(graceMs), relays.drain(room.clock, graceMs)])
    },
  }
}
