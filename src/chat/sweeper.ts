import { isErased, isUnreadable } from '#conversations/erased.ts'
import { ParleyError } from '#errors.ts'
import type { Owner } from '#identity/principal.ts'
import type { Key } from '#platform/kv/kv.ts'
import { archiveFinished } from './archiving.ts'
import { turnLifetimes } from './limits.ts'
import type { Producers } from './producers.ts'
import { reportLater } from './report-later.ts'
import { settle } from './settling.ts'
import { dropDeadline, dueDeadlines, noteDeadline } from './store/deadlines.ts'
import { giveUpTurn } from './store/give-up.ts'
import {
  deadlineEntry,
  deadlineShards,
  formerShards,
  readDeadline,
  turnKeys,
  unarchivedShards,
} from './store/turn-keys.ts'
import { takeOver } from './take-over.ts'
import type { ChatRoom } from './turn-context.ts'
import { recalledEnd } from './turn-ended.ts'

const BATCH = 50
/** A turn that nobody can go on with is left to whoever may come with its key, or with a remedy, as long as its log surely is there. */
const STUCK_PATIENCE_MS = turnLifetimes.openLogMs / 2
const STUCK_LOOK_AT_LEAST_EVERY_MS = 60 * 60_000
const dueShards: readonly Key[] = [...deadlineShards, ...formerShards.deadlines]
const lateShards: readonly Key[] = [...unarchivedShards, ...formerShards.unarchived]

/**
 * Looks after turns whose deadline has come, on every replica: one whose lease was renewed is looked at again when that ends,
 * one that has ended is told of and forgotten, once archive and ledger have it, one whose producer is gone is taken over. Two
 * sweepers meet in the claim: one wins. One that can be neither, for what is wrong with what is kept of it, is looked at ever
 * more rarely: while it lives for half a day, then it is given up; once ended, until its record goes.
 */
export class Sweeper {
  readonly #room: ChatRoom
  readonly #producers: Producers
  readonly #random: () => number
  #cancelNext: () => void = () => {}
  #sweeping: Promise<void> = Promise.resolve()
  #stopped = false

  constructor(room: ChatRoom, producers: Producers, random: () => number = Math.random) {
    this.#room = room
    this.#producers = producers
    this.#random = random
    this.#schedule()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancelNext()
    await this.#sweeping
  }

  /** A quarter of a lease, with jitter, so that replicas do not sweep in step. */
  #schedule(): void {
    const delayMs = (this.#room.leaseMs / 4) * (0.75 + this.#random() / 2)
    this.#cancelNext = this.#room.clock.after(delayMs, () => {
      this.#sweeping = this.#sweep().then(() => {
        if (!this.#stopped) this.#schedule()
      })
    })
  }

  async #sweep(): Promise<void> {
    const { kv, log, archive, settled } = this.#room
    if (!kv.reachable) return
    try {
      await Promise.all([
        ...dueShards.map((shard) => this.#sweepShard(shard)),
        ...(archive || settled ? lateShards.map((shard) => this.#sweepShard(shard)) : []),
      ])
    } catch (error) {
      log.warn({ err: error }, 'A sweep over the deadlines of turns failed; the next one tries again')
    }
  }

  async #sweepShard(shard: Key): Promise<void> {
    const due = await this.#room.kv.run(dueDeadlines, [shard], [BATCH])
    await Promise.all(due.map((member) => this.#look(shard, member)))
  }

  async #look(shard: Key, member: string): Promise<void> {
    const { kv, log, leaseMs, conversations } = this.#room
    const entry = readDeadline(conversations, member)
    if (!entry) return kv.run(dropDeadline, [shard], [member])
    // Replicas that have the master key already see to it.
    if (entry === 'veiled') return kv.run(noteDeadline, [shard], [member, leaseMs])
    try {
      const { turn, ...principal } = entry
      const found = await takeOver(this.#room, this.#producers, principal, turn)
      if (found.kind === 'done') {
        const fact = await recalledEnd(this.#room, principal, turn)
        // Whoever ended it may not have lived to tell. What was set aside was told then.
        if (fact && dueShards.includes(shard)) this.#room.events.emit('turn.ended', fact)
        const isSettled = !fact || (await settle(this.#room, fact))
        if (!(await this.#archived(principal, turn)) || !isSettled) return await this.#setAside(shard, member, entry)
        await kv.run(dropDeadline, [shard], [member])
      } else await kv.run(noteDeadline, [shard], [member, found.kind === 'held' ? Math.ceil(found.forMs) : leaseMs])
    } catch (error) {
      if (isErased(error)) {
        log.warn({ turn: entry.turn }, 'A turn whose key is gone is given up')
        return kv.run(dropDeadline, [shard], [member])
      }
      if (error instanceof ParleyError && error.retryable) {
        log.warn({ turn: entry.turn, err: error }, 'A turn could not be looked after; it is tried again after a lease')
        return kv.run(noteDeadline, [shard], [member, leaseMs])
      }
      await this.#stuck(shard, member, entry, error)
    }
  }

  async #stuck(shard: Key, member: string, { turn, ...owner }: Owner & { turn: string }, err: unknown): Promise<void> {
    const { kv, log, leaseMs, replica } = this.#room
    const keys = turnKeys(owner, turn)
    const found = await kv.run(giveUpTurn, [keys.turn, keys.log], [STUCK_PATIENCE_MS, turnLifetimes.turnMs, replica])
    if (found.kind === 'stuck') {
      if (!isUnreadable(err)) log.error({ turn, err }, 'A turn could not be taken over or archived; it is tried again')
      else if (found.forMs === 0)
        log.warn({ turn, err }, 'A turn cannot be read here; it is left to whoever has its key')
      const inMs = Math.min(Math.max(Math.ceil(found.forMs / 10), leaseMs), STUCK_LOOK_AT_LEAST_EVERY_MS)
      return kv.run(noteDeadline, [shard], [member, inMs])
    }
    if (found.kind === 'given-up') {
      log.error({ turn, err }, 'A turn that nobody could go on with for half a day is given up')
      await reportLater(this.#room, owner, turn)
    }
    if (found.kind === 'gone') log.error({ turn, err }, 'A turn that nobody could read is gone with its record')
    await kv.run(dropDeadline, [shard], [member])
  }

  /** False while the database is out of reach. */
  async #archived(owner: Owner, turn: string): Promise<boolean> {
    try {
      await archiveFinished(this.#room, owner, turn)
      return true
    } catch (error) {
      if (error instanceof ParleyError && error.code === 'database_unavailable') return false
      throw error
    }
  }

  async #setAside(shard: Key, member: string, { turn, ...owner }: Owner & { turn: string }): Promise<void> {
    const { kv, leaseMs, conversations } = this.#room
    const late = deadlineEntry(conversations, owner, turn)
    await kv.run(noteDeadline, [late.unarchived], [late.member, leaseMs])
    if (shard !== late.unarchived || member !== late.member) await kv.run(dropDeadline, [shard], [member])
  }
}
