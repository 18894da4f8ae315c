import { randomBytes } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { readLog } from '#chat/read-log.ts'
import { type ClaimResult, claimTurn } from '#chat/store/lease.ts'
import { type TurnKeys, turnKeys } from '#chat/store/turn-keys.ts'
import type { TurnEvent, TurnEventType } from '#chat/turn-events.ts'
import { type Loss, TurnLog } from '#chat/turn-log.ts'
import { createSeal, type Seal } from '#conversations/vault.ts'
import { newId } from '#ids.ts'
import { createLog } from '#log.ts'
import { createKv } from '#platform/kv/create-kv.ts'
import type { Kv, Operation } from '#platform/kv/kv.ts'
import { SqliteEngine } from '#platform/kv/sqlite.ts'
import { type ManualClock, manualClock } from './clock.ts'
import { type UnreachableKv, unreachableKv } from './unreachable-kv.ts'

/** A turn log over a store in memory that gets out of reach on command, by a clock that is turned by hand. */
export interface TurnLogAtHand extends UnreachableKv, AsyncDisposable {
  log: TurnLog
  clock: ManualClock
  keys: TurnKeys
  seal: Seal
  /** The store itself, always within reach. */
  store: Kv
  losses: Loss[]
  cancels: number
  /** Adds tokens with these texts at the next positions. */
  add(...texts: string[]): TurnEvent[]
  /** An event at the next position. */
  event(type: TurnEventType, data: object): TurnEvent
  /** Time goes by, whoever keeps it looks at the log, and what is under way with the store comes to its end. */
  pass(ms: number): Promise<void>
  settled(): Promise<void>
  /** What readers of this replica have seen: position and text. */
  shown(): Seen[]
  /** The same as the store holds it. */
  kept(): Promise<Seen[]>
  /** Appends that the store holds. */
  appends(): Promise<number>
  /** Another replica tries to take the turn over. */
  claim(): Promise<ClaimResult>
}

export type Seen = [position: number | undefined, text: string]

export const LEASE_MS = 10_000

const openRecord: Operation<void> = {
  name: 'test.open',
  lua: '',
  twin: (step, [turn], [top]) => {
    if (turn)
      step.set(turn, { state: 'live', fence: 1, owner: 'rep', top: top ?? -1, lease: step.now + LEASE_MS, input: '{}' })
    return []
  },
  decode: () => undefined,
}

/** `next`: where a successor begins. */
export async function turnLogAtHand(next = 0): Promise<TurnLogAtHand> {
  const clock = manualClock()
  const store = createKv(new SqliteEngine({ path: ':memory:', clock, log: createLog('silent') }))
  const unreachable = unreachableKv(store)
  const seal = createSeal(randomBytes(32))
  const keys = turnKeys({ tenant: 'test', id: 'test' }, newId('turn'))
  await store.run(openRecord, [keys.turn], [next - 1])
  const losses: Loss[] = []
  let cancels = 0
  let position = next
  const log = new TurnLog({
    kv: unreachable.kv,
    clock,
    keys,
    seal,
    fence: 1,
    leaseMs: LEASE_MS,
    leasedAtMs: clock.monotonic(),
    known: [],
    next,
    onCancel: () => {
      cancels += 1
    },
    onLoss: (loss) => losses.push(loss),
  })
  const event = (type: TurnEventType, data: object): TurnEvent => ({
    position: position++,
    type,
    data: JSON.stringify(data),
  })
  /** The store answers in a later turn of the event loop; a handful of them is enough for an answer to its answer. */
  const settled = async () => {
    for (let turn = 0; turn < 10; turn++) await setImmediate()
  }
  return {
    ...unreachable,
    log,
    clock,
    keys,
    seal,
    store,
    losses,
    get cancels() {
      return cancels
    },
    event,
    add: (...texts) =>
      texts.map((text) => {
        const added = event('token', { text })
        log.add(added)
        return added
      }),
    async pass(ms) {
      clock.advance(ms)
      log.tick()
      await settled()
    },
    settled,
    shown: () => (log.live.from(next) ?? []).map(seen),
    async kept() {
      const batches = await Array.fromAsync(readLog(store, keys, seal, -1))
      return batches.flat().map(seen)
    },
    appends: async () => (await store.read(keys.log, -1, 1000)).length,
    claim: () => store.run(claimTurn, [keys.turn], ['heir', LEASE_MS]),
    [Symbol.asyncDispose]: () => store.close(),
  }
}

function seen({ position, type, data }: TurnEvent): Seen {
  return [position, type === 'token' ? JSON.parse(data).text : type]
}
