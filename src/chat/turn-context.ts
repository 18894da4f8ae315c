import type { ActionPort } from '#actions/port.ts'
import type { ConfigVersion } from '#config/document.ts'
import type { Serving } from '#config/serving.ts'
import type { ConfigVersions } from '#config/versions.ts'
import type { Archive } from '#conversations/archive.ts'
import type { Conversations } from '#conversations/conversations.ts'
import type { Seal } from '#conversations/vault.ts'
import type { ParleyError } from '#errors.ts'
import type { Events, TurnEnded } from '#events/events.ts'
import type { Budgets } from '#governance/budgets.ts'
import type { Stops } from '#governance/stops.ts'
import type { Principal } from '#identity/principal.ts'
import type { Log } from '#log.ts'
import type { Candidate, ChatMessage } from '#models/answer.ts'
import type { Models } from '#models/models.ts'
import type { Clock } from '#platform/clock.ts'
import type { Kv } from '#platform/kv/kv.ts'
import type { OpenSpan, Spans } from '#telemetry/spans.ts'
import type { TokenCounter } from './compaction.ts'
import type { Progress } from './progress.ts'
import type { TurnKeys } from './store/turn-keys.ts'
import type { TurnEvents, TurnEventType } from './turn-events.ts'
import type { TurnInput } from './turn-input.ts'
import type { TurnLog } from './turn-log.ts'

/** What all turns of a replica share. */
export interface ChatRoom {
  kv: Kv
  clock: Clock
  log: Log
  models: Models
  actions: ActionPort
  conversations: Conversations
  /** Where finished turns are kept beyond the live state, if anywhere. */
  archive?: Archive | undefined
  /** Any sound version: what a turn began with, it goes on with. */
  configs: Pick<ConfigVersions, 'get' | 'find'>
  serving: Serving
  events: Pick<Events, 'emit'>
  /** Resolves once what outlives a turn that ended is kept; until then its deadline stays noted, and it is told again. */
  settled?: ((turn: TurnEnded) => Promise<void>) | undefined
  counter: TokenCounter
  spans: Spans
  /** What answers are paid from; nothing when absent. */
  budgets?: Pick<Budgets, 'spending'> | undefined
  /** What operators and budgets have stopped; nothing when absent. */
  stops?: Pick<Stops, 'found' | 'onChange'> | undefined
  /** Whether it may still be acted for somebody without being asked; always when absent. */
  isLive?: ((principal: Principal) => Promise<boolean>) | undefined
  /** Hears of each turn that was committed here, once its readers have. Returns at once and never throws. */
  shadow?:
    | {
        offer(turn: TurnContext, end: { status: 'completed' | 'cancelled' | 'failed'; error?: { code: string } }): void
      }
    | undefined
  replica: string
  leaseMs: number
  /** Idle conversations and what belongs to them are kept this long, ms. */
  conversationIdleMs: number
}

/** One turn while this replica produces it. */
export interface TurnContext {
  room: ChatRoom
  input: TurnInput
  config: ConfigVersion
  candidates: readonly Candidate[]
  keys: TurnKeys
  seal: Seal
  /** What was said before, and the user's message. */
  prompt: readonly ChatMessage[]
  /** Where the conversation's next entry goes; -1 without a conversation. */
  messagesAt: number
  progress: Progress
  fence: number
  log: TurnLog
  signal: AbortSignal
  /** Messages left out of the longest prompt so far. */
  omittedMessages: number
  /** When it began, monotonic ms; null where another producer began it. */
  startedAtMs: number | null
  /** From there to its first visible text. */
  firstTokenMs: number | null
  span: OpenSpan
  /** It ended without the archive, which has to get it later. */
  unarchived: boolean
  /** Whether what outlives it is kept, once it has ended. */
  settling: Promise<boolean>
  /** Stops production early; see `TurnStop`. */
  stop(kind: StopKind): void
  emit<Type extends TurnEventType>(type: Type, data: TurnEvents[Type]): void
}

type StopKind =
  | 'length'
  | 'cancelled'
  | 'deadline'
  | 'stopped'
  | 'fenced'
  | 'gone'
  | 'out-of-reach'
  | 'broken'
  | 'hand-over'
  | 'shut-down'

/** Why a production stops before its turn has ended: the reason of its signal. */
export class TurnStop extends Error {
  override readonly name = 'TurnStop'
  readonly kind: StopKind
  /** What the turn fails of, where somebody stopped it. */
  readonly error: ParleyError | undefined

  constructor(kind: StopKind, error?: ParleyError) {
    super(`the production of the turn stops: ${kind}`)
    this.kind = kind
    this.error = error
  }
}
