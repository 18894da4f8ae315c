import { asGone, isErased, isUnreadable } from '#conversations/erased.ts'
import type { Seal } from '#conversations/vault.ts'
import { ParleyError } from '#errors.ts'
import type { Principal } from '#identity/principal.ts'
import { archivedTurn } from './archiving.ts'
import { LiveReading } from './live-reading.ts'
import type { LiveTurn } from './live-turn.ts'
import type { Producers } from './producers.ts'
import { readLog } from './read-log.ts'
import { loadTurn, type TurnRecord } from './store/commands.ts'
import { placeOf, turnKeys } from './store/turn-keys.ts'
import { takeOver } from './take-over.ts'
import type { ChatRoom } from './turn-context.ts'
import { isTerminal, type TurnEvent } from './turn-events.ts'
import type { TurnOutcome } from './turn-input.ts'
import { Wakeups } from './wakeups.ts'

type Batch = readonly TurnEvent[]

/** Between two looks at a log that another replica writes, if no signal comes. */
const POLL_MS = 500
/** How long a reader waits for a store out of reach before it is told to come again. */
const PATIENCE_MS = 30_000

/**
 * The events after `after` until the terminal one. Read from memory while this replica produces the turn and the reader
 * keeps up, else from the log; a reader that finds the producer gone takes the turn over, so none waits in vain.
 */
export function readTurn(
  room: ChatRoom,
  producers: Producers,
  principal: Principal,
  turn: string,
  after: number,
  signal: AbortSignal,
): AsyncIterable<Batch> {
  const live = producers.liveTurn(principal, turn)
  const onward = (from: number) => readOn(room, producers, principal, turn, from, signal, live)
  if (!live || !Number.isSafeInteger(after) || after < -1 || after >= live.end) return onward(after)
  const wakeups = new Wakeups(room, turnKeys(principal, turn).log, signal)
  return new LiveReading({ live, after, signal, wakeups, onward })
}

async function* readOn(
  room: ChatRoom,
  producers: Producers,
  principal: Principal,
  turn: string,
  after: number,
  signal: AbortSignal,
  live: LiveTurn | undefined,
): AsyncGenerator<Batch> {
  const keys = turnKeys(principal, turn)
  const wakeups = new Wakeups(room, keys.log, signal)
  let next = after + 1
  let provisional = false
  let unreachableSinceMs: number | undefined
  try {
    let here = live ?? producers.liveTurn(principal, turn)
    const last = here ? here.end - 1 : (await loaded(room, principal, turn))?.top
    if (last === undefined) return yield* readArchived(room, principal, turn, after)
    if (!Number.isSafeInteger(after) || after < -1 || after > last) throw new ParleyError('bad_position')
    let seal = await room.conversations.seal(principal)
    while (!signal.aborted) {
      here ??= producers.liveTurn(principal, turn)
      const batch = here?.from(next)
      if (here && batch && (batch.length > 0 || !here.ended)) {
        if (batch.length === 0) await wakeups.change(here)
        else {
          yield batch
          next += batch.length
          provisional = batch.at(-1)?.position === undefined
          if (endsWithTerminal(batch)) return
        }
        continue
      }
      // What was shown without a position is not what the log goes on with: the reader has to come again.
      if (here?.ended && provisional) throw new ParleyError('state_unavailable', { retryAfterMs: POLL_MS })
      if (here?.ended) here = undefined
      try {
        const before = next
        for await (const page of readLog(room.kv, keys, seal, next - 1)) {
          yield page
          next = (page.at(-1)?.position ?? next) + 1
          if (endsWithTerminal(page)) return
        }
        unreachableSinceMs = undefined
        if (next > before || here) continue
        const record = await loaded(room, principal, turn)
        if (!record) return yield* readArchived(room, principal, turn, next - 1)
        if (record.state === 'done') {
          if (!record.end) throw new ParleyError('turn_lost')
          if (next > record.top) return
          if ((await room.kv.read(keys.log, next - 1, 1)).length > 0) continue
          return yield* snapshotOf(seal.unseal(record.end, placeOf(keys.turn, 'end')), next)
        }
        const isHeld = record.leaseLeftMs >= 0 || (await takeOver(room, producers, principal, turn)).kind === 'held'
        if (isHeld) await wakeups.signalled(POLL_MS)
      } catch (thrown) {
        const { present, error } = await reread(room, principal, turn, seal, thrown)
        if (present) {
          seal = present
          continue
        }
        if (!(error instanceof ParleyError) || error.code !== 'state_unavailable') throw error
        const now = room.clock.monotonic()
        if (unreachableSinceMs === undefined) yield [noticeOf(error)]
        unreachableSinceMs ??= now
        if (now - unreachableSinceMs > PATIENCE_MS) throw error
        await wakeups.signalled(POLL_MS)
      }
    }
  } catch (error) {
    throw asGone(error, 'turn_not_found')
  } finally {
    wakeups.close()
  }
}

function loaded(room: ChatRoom, principal: Principal, turn: string): Promise<TurnRecord | undefined> {
  return room.kv.run(loadTurn, [turnKeys(principal, turn).turn], [])
}

/** What does not open may with the owner's present key, or be given up; with the store away nobody knows, and that is the error. */
async function reread(
  room: ChatRoom,
  principal: Principal,
  turn: string,
  seal: Seal,
  error: unknown,
): Promise<{ present?: Seal | undefined; error: unknown }> {
  if (!isErased(error) && !isUnreadable(error)) return { error }
  try {
    const present = await seal.renewed?.()
    const isLost = !present && isUnreadable(error) && (await isGivenUp(room, principal, turn))
    return { present, error: isLost ? new ParleyError('turn_lost') : error }
  } catch (failure) {
    return { error: failure }
  }
}

/** It counts as ended, without an end. */
async function isGivenUp(room: ChatRoom, principal: Principal, turn: string): Promise<boolean> {
  const record = await loaded(room, principal, turn)
  return record?.state === 'done' && !record.end
}

/** The live state has lost the turn: what the archive has of it, as of a log that is gone. */
async function* readArchived(room: ChatRoom, principal: Principal, turn: string, after: number): AsyncGenerator<Batch> {
  const { outcome, seal } = await archivedTurn(room, principal, turn)
  const plain = seal.unseal(outcome, placeOf(turnKeys(principal, turn).turn, 'end'))
  const { terminal }: TurnOutcome = JSON.parse(plain.toString())
  if (!Number.isSafeInteger(after) || after < -1 || after > terminal.position) throw new ParleyError('bad_position')
  if (after < terminal.position) yield* snapshotOf(plain, after + 1)
}

function endsWithTerminal(batch: Batch): boolean {
  const last = batch.at(-1)
  return last !== undefined && isTerminal(last.type)
}

function noticeOf({ code, message }: ParleyError): TurnEvent {
  return { position: undefined, type: 'notice', data: JSON.stringify({ code, message }) }
}

/** The log is gone: its whole text at once, and how it ended. */
function* snapshotOf(outcome: Buffer, next: number): Generator<Batch> {
  const { text, terminal }: TurnOutcome = JSON.parse(outcome.toString())
  const at = terminal.position - 1
  if (next <= at) yield [{ position: at, type: 'snapshot', data: JSON.stringify({ text, at }) }]
  yield [terminal]
}
