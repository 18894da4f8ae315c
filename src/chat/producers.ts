import type { ConfigVersion } from '#config/document.ts'
import { ParleyError } from '#errors.ts'
import { stopError } from '#governance/stops.ts'
import type { Principal } from '#identity/principal.ts'
import type { ChatMessage } from '#models/answer.ts'
import { delay, waitAtMost } from '#platform/clock.ts'
import type { Key } from '#platform/kv/kv.ts'
import { genAi, INVOKE_AGENT } from '#telemetry/gen-ai.ts'
import type { SpanAttributes } from '#telemetry/spans.ts'
import { withdrawEnd } from './archiving.ts'
import { commitEnd, type End, terminalOf } from './ending.ts'
import type { LiveTurn } from './live-turn.ts'
import { Deadline, produce } from './produce.ts'
import type { Progress } from './progress.ts'
import { receiptOf } from './receipt.ts'
import { reportLater } from './report-later.ts'
import { dropDeadline } from './store/deadlines.ts'
import { releaseTurn } from './store/lease.ts'
import { type DeadlineEntry, deadlineEntry, replicaKey, turnKeys } from './store/turn-keys.ts'
import { type ChatRoom, type TurnContext, TurnStop } from './turn-context.ts'
import type { TurnEvent } from './turn-events.ts'
import { loggedOf, type TurnInput } from './turn-input.ts'
import { type CommitEnd, type Loss, TurnLog } from './turn-log.ts'

/** A turn that this replica holds the fence of. */
export interface HeldTurn {
  input: TurnInput
  config: ConfigVersion
  seal: TurnContext['seal']
  /** What was said in earlier turns. */
  history: readonly ChatMessage[]
  messagesAt: number
  progress: Progress
  fence: number
  /** When the lease was asked for, monotonic ms. */
  leasedAtMs: number
  /** When it began, monotonic ms; null where another producer began it. */
  startedAtMs: number | null
  /** Another producer began it and is gone. */
  takenOver: boolean
  /** The events that the log ends with, where they are at hand. */
  known?: readonly TurnEvent[]
  /** As it was noted, where that is at hand: veiling it again took 2 % of a short turn. */
  deadline?: DeadlineEntry
  /** It is only to be ended. */
  hopeless?: boolean
  /** This replica is done with it, one way or another. */
  onEnd?: () => void
}

interface Production {
  input: TurnInput
  log: TurnLog
  abort: AbortController
  done: Promise<void>
}

/** How often leases are looked after, as a part of the lease. */
const TICKS_PER_LEASE = 20
/** For a last append when the grace time is over. */
const LAST_WORDS_MS = 2000
const LISTEN_RETRY_MS = 1000
const DROPPED_AT_ONCE = 1000
const TOO_LARGE = { message: 'What was said and done in this turn is more than its conversation can keep.' }

/**
 * The turns that this replica produces. One timer keeps the time for all of them; commands for them arrive on one key.
 *
 * accepting ──drain──▸ draining (running turns go on for a grace time, then are handed over) ──▸ stopped
 */
export class Producers {
  readonly #room: ChatRoom
  readonly #live = new Map<string, Production>()
  readonly #stopped = new AbortController()
  /** What is let go of now is for others. */
  draining = false
  /** Entries of the deadline indexes that nobody needs any more. */
  readonly #met = new Map<Key, string[]>()
  /** Of turns that have ended: what outlives them is being kept. */
  readonly #settling = new Set<Promise<void>>()
  #stopTicking: () => void = () => {}
  #stopListening: Promise<() => void>
  readonly #stopHearing: (() => void) | undefined

  constructor(room: ChatRoom) {
    this.#room = room
    this.#tick()
    this.#stopListening = this.#listen()
    this.#stopHearing = room.stops?.onChange(() => {
      for (const production of this.#live.values()) this.#cutStopped(production)
    })
  }

  get size(): number {
    return this.#live.size
  }

  has(turn: string): boolean {
    return this.#live.has(turn)
  }

  /** What readers on this replica follow, if the turn is produced here for this principal. */
  liveTurn(principal: Principal, turn: string): LiveTurn | undefined {
    const production = this.#live.get(turn)
    // Who was reading when the log was lost hears the end of it; who comes now reads what the log holds.
    if (production?.log.isLost) return undefined
    const owner = production?.input.principal
    return owner?.tenant === principal.tenant && owner.id === principal.id ? production?.log.live : undefined
  }

  cancel(turn: string): boolean {
    const production = this.#live.get(turn)
    production?.abort.abort(new TurnStop('cancelled'))
    return production !== undefined
  }

  /** Produces the turn in the background. */
  produce(held: HeldTurn): void {
    const room = this.#room
    const { input } = held
    const abort = new AbortController()
    const keys = turnKeys(input.principal, input.turn)
    const log = new TurnLog({
      kv: room.kv,
      clock: room.clock,
      keys,
      seal: held.seal,
      fence: held.fence,
      leaseMs: room.leaseMs,
      leasedAtMs: held.leasedAtMs,
      known: held.known ?? [],
      next: held.progress.next,
      onCancel: () => abort.abort(new TurnStop('cancelled')),
      onLoss: (loss, cause) => this.#onLoss(input, loss, cause, abort),
    })
    const turn: TurnContext = {
      ...held,
      room,
      candidates: [],
      prompt: [],
      keys,
      log,
      signal: abort.signal,
      omittedMessages: 0,
      firstTokenMs: null,
      span: room.spans.open(`${INVOKE_AGENT} ${input.specialist}`, {
        parent: input.traceparent,
        kind: 'internal',
        attributes: attributesOf(input),
      }),
      unarchived: false,
      settling: Promise.resolve(true),
      stop: (kind) => abort.abort(new TurnStop(kind)),
      emit: (type, data) => {
        const position = held.progress.next
        held.progress.apply(type, data)
        log.add({ position, type, data: JSON.stringify(data) })
      },
    }
    const done = this.#run(turn, held, abort).finally(() => {
      this.#live.delete(input.turn)
      held.onEnd?.()
    })
    const production = { input, log, abort, done }
    this.#live.set(input.turn, production)
    // Since it was admitted, something may have been stopped.
    this.#cutStopped(production)
  }

  /**
   * Running turns get `graceMs`. What still runs then is let go of, for another replica to go on with; where there can be no
   * other, it ends with a typed failure.
   */
  async drain(graceMs: number): Promise<void> {
    this.draining = true
    await this.#finished(graceMs)
    const stop = new TurnStop(this.#room.kv.engine === 'sqlite' ? 'shut-down' : 'hand-over')
    for (const { abort } of this.#live.values()) abort.abort(stop)
    await this.#finished(LAST_WORDS_MS)
    this.#stopped.abort(stop)
    await this.#finished(LAST_WORDS_MS)
    await this.#within(LAST_WORDS_MS, this.#settling)
    this.#stopTicking()
    this.#stopHearing?.()
    this.#dropMet()
    ;(await this.#stopListening)()
  }

  /** Until no turn is produced here any more, at most `atMostMs`. */
  #finished(atMostMs: number): Promise<void> {
    return this.#within(
      atMostMs,
      [...this.#live.values()].map(({ done }) => done),
    )
  }

  async #within(atMostMs: number, work: Iterable<Promise<void>>): Promise<void> {
    const over = Promise.withResolvers<void>()
    const stopWaiting = this.#room.clock.after(atMostMs, over.resolve)
    await Promise.race([over.promise, Promise.all(work)])
    stopWaiting()
  }

  async #run(turn: TurnContext, held: HeldTurn, abort: AbortController): Promise<void> {
    const { room, input, log } = turn
    const deadline = new Deadline(room.clock, () => abort.abort(new TurnStop('deadline')))
    try {
      const end: End = held.hopeless
        ? { status: 'failed', error: new ParleyError('turn_lost') }
        : await produce(turn, held.history, held.takenOver, deadline)
      deadline.suspend()
      await this.#end(turn, end, held.deadline)
      if (held.hopeless || log.isGone) await reportLater(room, input.principal, input.turn)
      turn.span.end({
        attributes: { 'parley.turn.status': end.status },
        error: end.status === 'failed' ? end.error.code : undefined,
      })
    } catch (error) {
      deadline.suspend()
      turn.span.end({ error: error instanceof TurnStop ? error.kind : 'internal' })
      if (error instanceof TurnStop && error.kind === 'hand-over') await this.#handOver(turn, held.fence)
      else if (!(error instanceof TurnStop)) {
        room.log.error(
          { ...loggedOf(input), err: error },
          'A turn could not be ended; its lease runs out and it is taken over',
        )
      }
      log.live.close()
    }
  }

  /** With the log out of reach for nearly a lease, a turn ends with a typed failure, to its readers at once. */
  async #end(turn: TurnContext, end: End, deadline: DeadlineEntry | undefined): Promise<void> {
    const { room, input, log } = turn
    if (end.status === 'cancelled' && turn.progress.calls > 0) await room.actions.withdraw(input.turn)
    if (isLost(turn.signal) || log.isGone) this.#showLast(turn, end)
    let last = end
    let result: CommitEnd
    try {
      result = await commitEnd(turn, last, this.#stopped.signal)
    } catch (error) {
      if (!(error instanceof ParleyError) || error.code !== 'message_too_large') throw error
      last = { status: 'failed', error: new ParleyError('message_too_large', TOO_LARGE) }
      result = await commitEnd(turn, last, this.#stopped.signal)
    }
    if (result === 'lost') {
      last = { status: 'failed', error: new ParleyError('turn_lost') }
      this.#showLast(turn, last)
      result = await commitEnd(turn, last, this.#stopped.signal)
    }
    log.live.close()
    if (result === 'committed') room.shadow?.offer(turn, last)
    if (result === 'refused') await withdrawEnd(turn)
    // Its entry leads the sweeper to a turn that the archive has yet to get.
    if (result !== 'committed' || turn.unarchived) return
    // Nobody waits for this.
    const settling = turn.settling.then((isSettled) => {
      this.#settling.delete(settling)
      if (isSettled) this.#meet(deadline ?? deadlineEntry(room.conversations, input.principal, input.turn))
    })
    this.#settling.add(settling)
  }

  #meet({ shard, member }: DeadlineEntry): void {
    this.#met.getOrInsertComputed(shard, () => []).push(member)
  }

  #showLast(turn: TurnContext, end: End): void {
    const receipt = receiptOf(turn.input, turn.config, turn.progress, turn.omittedMessages, this.#room.clock.now())
    turn.log.showLast({ position: undefined, ...terminalOf(end, receipt, []) })
  }

  async #handOver(turn: TurnContext, fence: number): Promise<void> {
    try {
      await turn.log.handOver()
      await this.#room.kv.run(releaseTurn, [turn.keys.turn], [fence])
    } catch (error) {
      this.#room.log.warn(
        { ...loggedOf(turn.input), err: error },
        'A turn could not be handed over at once; its lease runs out',
      )
    }
  }

  /** What its models are about ends the answer that they give. */
  #cutStopped({ input, abort }: Production): void {
    const { principal, specialist } = input
    const stop = this.#room.stops?.found({ principal, specialist })
    if (stop) abort.abort(new TurnStop('stopped', stopError(stop)))
  }

  #onLoss(input: TurnInput, loss: Loss, cause: unknown, abort: AbortController): void {
    const fields = { ...loggedOf(input), loss, ...(cause !== undefined && { err: cause }) }
    this.#room.log.warn(fields, 'This replica lost a turn that it produced')
    abort.abort(new TurnStop(loss))
  }

  #tick(): void {
    for (const { log } of this.#live.values()) log.tick()
    this.#dropMet()
    // Where the process was held up, what the store has answered is read before it is taken for away.
    this.#stopTicking = waitAtMost(this.#room.clock, this.#room.leaseMs / TICKS_PER_LEASE, () => this.#tick())
  }

  /** Deadlines of turns that have ended, many at a time; what is lost here the sweeper finds done, and drops itself. */
  #dropMet(): void {
    for (const [shard, members] of this.#met) {
      this.#room.kv.run(dropDeadline, [shard], members.splice(0, DROPPED_AT_ONCE)).catch(() => {})
      if (members.length === 0) this.#met.delete(shard)
    }
  }

  /** Commands are hints: each is noted in the turn's record too, where its next append or renewal finds it. */
  async #listen(): Promise<() => void> {
    const { kv, replica, clock } = this.#room
    while (!this.#stopped.signal.aborted) {
      try {
        return await kv.listen(replicaKey(replica), (turn) => this.cancel(turn))
      } catch {
        await delay(clock, LISTEN_RETRY_MS, this.#stopped.signal).catch(() => {})
      }
    }
    return () => {}
  }
}

/** A turn is known by its id, nobody by theirs. */
function attributesOf({ turn, conversation, specialist, config, arm }: TurnInput): SpanAttributes {
  return {
    [genAi.operation]: INVOKE_AGENT,
    [genAi.agent]: specialist,
    'parley.turn': turn,
    'parley.config': config,
    'parley.arm': arm,
    ...(conversation !== null && { 'gen_ai.conversation.id': conversation }),
  }
}

function isLost({ reason }: AbortSignal): boolean {
  return reason instanceof TurnStop && reason.kind === 'out-of-reach'
}
