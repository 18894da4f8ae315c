import type { Owner } from '#identity/principal.ts'
import type { KeySafe } from './data-keys/key-safe.ts'
import type { Seal } from './vault.ts'

/**
 * Finished turns in SQL, where they outlive the live state. All that was said is sealed as there, for the same places, and is
 * unreadable once the owner's data key is destroyed. Every method rejects with database_unavailable while the database is out
 * of reach. Made by `createArchive` (see `archive/create.ts`).
 */
export interface Archive {
  /** What opens it: the data keys of those whose turns it has. */
  readonly keys: KeySafe
  /** Safe to repeat; what a later producer kept (a higher fence) stands. `seal` is the owner's. */
  keep(turn: FinishedTurn, seal: Seal): Promise<void>
  /** What its reader thinks of a turn, sealed with the owner's present key (`seal`); undefined where it has no such turn of that key. */
  judge(owner: Owner, turn: string, feedback: Buffer, seal: Seal): Promise<ArchivedTurn | undefined>
  /** Takes back what a producer kept of a turn that was somebody else's by then, unless a later one has kept it too. */
  withdraw(owner: Owner, turn: string, fence: number): Promise<void>
  /** Rejects with erased, sealed_unreadable. */
  turn(owner: Owner, turn: string): Promise<ArchivedTurn | undefined>
  /**
   * In order, above position `after` (-1 for all), the entries of at most `limit` turns; of fewer when they are large.
   * `undefined` when it knows no turns of this conversation at all. Rejects with erased, sealed_unreadable.
   */
  messages(owner: Owner, conversation: string, after: number, limit: number): Promise<ArchivedEntries | undefined>
  /**
   * Conversations that have finished turns, the newest first, all or those of `ids`; at most 10,000. Only what the owner's present
   * key (`seal`) opens.
   */
  conversations(owner: Owner, seal: Seal, ids: readonly string[] | undefined): Promise<ArchivedConversation[]>
  /** All turns of a conversation; resolves with their number. */
  forget(owner: Owner, conversation: string): Promise<number>
  /** Takes out some of what ended before, of all owners: of a conversation nothing as long as it has later turns. Resolves with how many. */
  prune(before: number): Promise<number>
}

export interface FinishedTurn {
  id: string
  owner: Owner
  /** Where its messages stand; null for a turn that stands alone. */
  entry: FinishedEntry | null
  fence: number
  status: 'completed' | 'failed' | 'cancelled'
  /** ms since the epoch. */
  endedAt: number
  /** Sealed, like the outcome and the messages, for the place where the live state has it. */
  input: Buffer
  outcome: Buffer
  /** What its reader thinks of it; what is there already stands where it is not given. */
  feedback?: Buffer | undefined
}

/** What a turn adds to its conversation, and what is needed to have that back. */
export interface FinishedEntry {
  conversation: string
  position: number
  messages: Buffer
  /** Messages in it. */
  count: number
  specialist: string
  config: string
  arm: 'stable' | 'canary'
  cohort: string
  startedAt: number
  /** Sealed; by the first turn of a conversation. */
  title: Buffer | null
}

/** Times in ms since the epoch; `messages` and `version` count as the live state does. */
export interface ArchivedConversation
  extends Pick<FinishedEntry, 'specialist' | 'config' | 'arm' | 'cohort' | 'title'> {
  id: string
  createdAt: number
  updatedAt: number
  messages: number
  version: number
}

export interface ArchivedTurn {
  input: Buffer
  outcome: Buffer
  feedback: Buffer | undefined
  /** The key it was sealed with, which need not be the owner's present one. */
  seal: Seal
}

export interface ArchivedEntries {
  entries: { position: number; body: Buffer; seal: Seal }[]
  /** The position to go on from, null at the end. */
  next: number | null
}
