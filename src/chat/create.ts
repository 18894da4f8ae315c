import { assignFor, pickVersion, resolveFor } from '#config/assigning.ts'
import { asGone, throwAsGone } from '#conversations/erased.ts'
import { ParleyError } from '#errors.ts'
import type { Admission } from '#governance/admission.ts'
import { refuseStopped, type Work } from '#governance/stops.ts'
import { checkTalkTo, mayTalkTo } from '#identity/key-grant.ts'
import type { Principal } from '#identity/principal.ts'
import { newId } from '#ids.ts'
import type { AnswerRequest, AnswerSink, ChatMessage } from '#models/answer.ts'
import { noSpans, type Spans } from '#telemetry/spans.ts'
import { address, addresseeOf, addresseesOf, hasSpecialist } from './addressees.ts'
import type { Chat, StartedTurn } from './chat.ts'
import { deleteConversation } from './delete-conversation.ts'
import { giveFeedback } from './feedback.ts'
import { FollowUps } from './follow-ups.ts'
import { type Opening, type Setting, startTurn } from './open-turn.ts'
import { answerPaid } from './paying.ts'
import { Producers } from './producers.ts'
import { readTurn } from './read-turn.ts'
import { relay } from './relay.ts'
import { tellingRelay } from './relay-ended.ts'
import { Relays } from './relays.ts'
import { cancelTurn } from './store/commands.ts'
import { replicaKey, turnKeys } from './store/turn-keys.ts'
import { Sweeper } from './sweeper.ts'
import { tokenCounter } from './token-counter.ts'
import type { ChatRoom } from './turn-context.ts'
import { viewTurn } from './view.ts'

export interface ChatOptions extends Omit<ChatRoom, 'counter' | 'spans'> {
  admission: Admission
  /** None when absent. */
  spans?: Spans
}

const OTHER_VERSION = {
  message: 'This conversation is served from another config version; begin one that is served from this.',
  param: 'x-parley-config',
}

/** Builds the chat and starts what it does by itself: the upkeep of leases, the sweeper, follow-ups. `drain` ends it. */
export function createChat(options: ChatOptions): Chat {
  const { admission, spans = noSpans, ...shared } = options
  const room: ChatRoom = { ...shared, spans, counter: tokenCounter }
  const { kv, clock, conversations, configs, serving, stops } = room
  const producers = new Producers(room)
  const sweeper = new Sweeper(room, producers)
  const followUps = new FollowUps(room, start)
  const relays = new Relays()
  let draining = false
  const stopHearing = stops?.onChange(() => relays.cutStopped(stops))

  function refuseWhileDraining(): void {
    if (draining) throw new ParleyError('shutting_down', { retryAfterMs: 1000 + Math.random() * 2000 })
  }

  async function settingOf(principal: Principal, { in: where, version }: Opening): Promise<Setting> {
    if ('conversation' in where) {
      const { conversation } = where
      // That it still exists is checked as the turn opens.
      const { specialist, ...pin } = await conversations.pins(principal, conversation)
      const assigned = resolveFor(serving, pin, hasSpecialist(specialist))
      if (version !== undefined && version !== assigned.config.name)
        throw new ParleyError('invalid_request', OTHER_VERSION)
      return { turn: newId('turn'), conversation, specialist, ...assigned }
    }
    const { specialist, served } = where
    const known = served && configs.get(served.config)
    if (known) return { turn: served.unit, conversation: null, specialist, ...served, config: known }
    return { conversation: null, specialist, ...assignTurn(principal, specialist, version) }
  }

  function assignTurn(principal: Principal, specialist: string, version: string | undefined) {
    const turn = newId('turn')
    if (version !== undefined) return { turn, ...pickVersion(serving, principal, version) }
    return { turn, ...assignFor(serving, turn, hasSpecialist(specialist)) }
  }

  async function cancel(principal: Principal, turn: string): Promise<void> {
    const noting = kv.run(cancelTurn, [turnKeys(principal, turn).turn], [])
    const result = await noting.catch((error) => {
      // With the store away it would go on here, for nobody, until that is back.
      if (producers.liveTurn(principal, turn)) producers.cancel(turn)
      throw error
    })
    if (result.kind === 'gone') throw new ParleyError('turn_not_found')
    if (result.kind === 'done') throw new ParleyError('turn_finished')
    if (!producers.cancel(turn)) await kv.signal(replicaKey(result.owner), turn)
  }

  /** What was remembered of a conversation may be all that was left of it, until it was looked for. */
  async function isBack(principal: Principal, { conversation }: Setting, error: unknown): Promise<boolean> {
    const isGone = error instanceof ParleyError && error.code === 'conversation_not_found'
    return isGone && conversation !== null && (await conversations.recover(principal, conversation))
  }

  async function start(principal: Principal, request: Opening): Promise<StartedTurn> {
    refuseWhileDraining()
    const kind = request.followUp ? 'follow-up' : 'turn'
    const admitted = await admission.admit(principal, { kind, bytes: Buffer.byteLength(request.message ?? '') })
    try {
      refuseWhileDraining()
      const setting = await settingOf(principal, request)
      checkTalkTo(principal, setting.specialist)
      refuseStopped(stops, { principal, specialist: setting.specialist })
      if (!hasSpecialist(setting.specialist)(setting.config)) throw new ParleyError('specialist_not_found')
      const open = () => startTurn(room, producers, principal, request, setting, () => admitted.release())
      const started = await open().catch(async (error) => {
        if (await isBack(principal, setting, error)) return open()
        throw error
      })
      return { ...started, ...(admitted.limits && { limits: admitted.limits }) }
    } catch (error) {
      admitted.release()
      throw asGone(error, 'conversation' in request.in ? 'conversation_not_found' : 'turn_not_found')
    }
  }

  return {
    async createConversation(principal, { specialist, title, version }) {
      checkTalkTo(principal, specialist)
      const has = hasSpecialist(specialist)
      const picked = version === undefined ? undefined : pickVersion(serving, principal, version)
      const pin = (id: string) => {
        const { config, arm, cohort } = picked ?? assignFor(serving, id, has)
        if (!has(config)) throw new ParleyError('specialist_not_found', { param: 'specialist' })
        return { config: config.name, arm, cohort }
      }
      return conversations.create(principal, { specialist, pin, ...(title !== undefined && { title }) })
    },

    checkSpecialist(principal, specialist, version) {
      checkTalkTo(principal, specialist)
      const candidates =
        version === undefined
          ? [serving.stable(), serving.candidate()]
          : [pickVersion(serving, principal, version).config]
      if (!candidates.some((config) => config && hasSpecialist(specialist)(config)))
        throw new ParleyError('specialist_not_found')
    },

    start,

    read: (principal, turn, after, signal) => readTurn(room, producers, principal, turn, after, signal),

    get: (principal, turn) => viewTurn(room, principal, turn),

    cancel,

    deleteConversation: (principal, id) => deleteConversation(room, producers, cancel, principal, id),

    feedback: (principal, turn, feedback) =>
      giveFeedback(room, principal, turn, feedback).catch(throwAsGone('turn_not_found')),

    addressee(model, principal) {
      checkTalkTo(principal, model)
      return addresseeOf(serving.stable(), model)
    },
    addressees: (principal) => addresseesOf(serving.stable()).filter(({ name }) => mayTalkTo(principal, name)),
    address(principal, model, version) {
      checkTalkTo(principal, model)
      return address(serving, principal, model, version)
    },

    async relay(principal, request, sink) {
      refuseWhileDraining()
      const admitted = await admission.admit(principal, { kind: 'relay', bytes: sizeOf(request.messages) })
      try {
        refuseWhileDraining()
        const { to } = request
        const what: Work = { principal, ...(to.kind === 'specialist' && { specialist: to.name }) }
        refuseStopped(stops, what)
        if (admitted.limits) request.onLimits?.(admitted.limits)
        const config = configs.get(request.to.served.config) ?? serving.stable()
        const work = (watched: AnswerSink) => {
          const payer = { principal, served: to.served }
          const paid = { answer: (asked: AnswerRequest, to: AnswerSink) => answerPaid(room, payer, asked, to) }
          return relay(paid, config, request, watched, stops)
        }
        return await relays.run(request.abort, what, () => tellingRelay(room, principal, request, sink, work))
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
      await Promise.all([producers.drain(graceMs), relays.drain(clock, graceMs)])
      stopHearing?.()
    },
  }
}

/** About, and cheaply: of the texts. */
function sizeOf(messages: readonly ChatMessage[]): number {
  return messages.reduce((sum, { content }) => sum + (typeof content === 'string' ? content.length : 0), 0)
}
