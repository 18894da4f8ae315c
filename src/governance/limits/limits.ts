import { randomUUID } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { GovernanceEnv } from '#env.ts'
import { ParleyError } from '#errors.ts'
import type { Events, RelayEnded, TurnEnded } from '#events/events.ts'
import { type Principal, partitionOf } from '#identity/principal.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { Key, Kv } from '#platform/kv/kv.ts'
import type { Admitted, Asked } from '../admission.ts'
import { countTokens, giveBack, renew } from './give-back.ts'
import { countedKey, limitKeys } from './keys.ts'
import { DAY_MS, type Taken, take } from './take.ts'

interface LimitsOptions {
  kv: Kv
  clock: Clock
  limits: GovernanceEnv['limits']
  /** Whether something was spent there before that (ms since the epoch), for a store that has forgotten its tenants. */
  hasSpent?: ((tenant: string, before: number) => Promise<boolean>) | undefined
}

/** Places of replicas that died come free after so long. */
const LEASE_MS = 15_000
const RENEWED_EVERY_MS = LEASE_MS / 3
const MINUTE_US = 60_000_000
/** What an answer is taken for at admission, beside what was said; its end counts what it was. */
const ANSWER_TOKENS = 1024
const BYTES_PER_TOKEN = 4
const KNOWN_TENANTS = 10_000
/** Of a tenant that is new the ledger is asked no more often. */
const ASKED_EVERY_MS = 60_000

const REFUSALS: Record<Exclude<Taken['kind'], 'admitted'>, string> = {
  'first-day': 'Too many requests for the first day of an organisation.',
  tenant: 'Too many requests of this organisation.',
  client: 'Too many requests of this application.',
  principal: 'Too many requests.',
  streams: 'Too many answers under way at once.',
  tokens: 'The tokens of the day are used up.',
}

/** None where nothing is limited. Tokens are counted as facts tell of them. */
export function openLimits({
  events,
  log,
  ...options
}: LimitsOptions & { events: Events; log: Log }): Limits | undefined {
  if (Object.values(options.limits).every((limit) => limit === 0)) return undefined
  const limits = new Limits(options)
  const count = (unit: string, fact: TurnEnded | RelayEnded) => {
    limits.count(unit, fact).catch((error) => log.warn({ unit, err: error }, 'The tokens of a turn were not counted'))
  }
  events.on('turn.ended', (turn) => count(turn.turn, turn))
  events.on('relay.ended', (relay) => count(relay.unit, relay))
  return limits
}

/** What principals, tenants and client applications may ask for, on all replicas together. */
export class Limits {
  readonly #options: LimitsOptions
  /** Under way on this replica, by the index they are in. */
  readonly #held = new Map<Key, Set<string>>()
  /** Tenants that the store takes for new: whether they are not, and when that was asked, monotonic ms. */
  readonly #tenants = new LRUCache<string, { isOld: boolean; asked: Promise<boolean>; at: number }>({
    max: KNOWN_TENANTS,
  })
  #cancelNext: () => void

  constructor(options: LimitsOptions) {
    this.#options = options
    this.#cancelNext = options.clock.after(RENEWED_EVERY_MS, () => this.#renew())
  }

  /** One round trip. Rejects with rate_limited, state_unavailable. */
  async take(principal: Principal, { kind, bytes }: Asked): Promise<Admitted> {
    const { kv, limits } = this.#options
    const keys = limitKeys(principal.tenant, partitionOf(principal), principal.client ?? '')
    const id = randomUUID()
    // What we ask ourselves has been asked for before.
    const isAsked = kind !== 'follow-up'
    // A run asked for without a chat is a request, and nothing that goes on here.
    const isAnswered = kind !== 'run'
    const rates = isAsked
      ? [
          limits.tenantRequestsPerMinute,
          principal.client ? limits.clientRequestsPerMinute : 0,
          limits.requestsPerMinute,
        ]
      : [0, 0, 0]
    const takeUnder = (firstDayRequests: number) =>
      kv.run(
        take,
        [keys.tenant, keys.client, keys.principal, keys.held],
        [
          id,
          isAnswered ? LEASE_MS : 0,
          isAsked && isAnswered ? limits.streamsAtOnce : 0,
          isAsked && isAnswered ? limits.tokensPerDay : 0,
          isAnswered && limits.tokensPerDay > 0 ? ANSWER_TOKENS + Math.ceil(bytes / BYTES_PER_TOKEN) : 0,
          firstDayRequests,
          ...rates.flatMap(bucketOf),
        ],
      )
    const isOld = !isAsked || this.#tenants.get(principal.tenant)?.isOld === true
    let taken = await takeUnder(isOld ? 0 : limits.firstDayRequests)
    if (taken.kind === 'first-day' && (await this.#isOld(principal.tenant))) taken = await takeUnder(0)
    const figures = this.#figures(taken)
    if (taken.kind !== 'admitted') {
      throw new ParleyError('rate_limited', {
        message: REFUSALS[taken.kind],
        retryAfterMs: taken.waitMs,
        ...(figures && { limits: figures }),
      })
    }
    if (!isAnswered) return { limits: figures, release() {} }
    const held = this.#held.getOrInsertComputed(keys.held, () => new Set())
    held.add(id)
    return {
      limits: figures,
      release: () => {
        if (!held.delete(id)) return
        if (held.size === 0 && this.#held.get(keys.held) === held) this.#held.delete(keys.held)
        // What cannot be given back lapses.
        kv.run(giveBack, [keys.principal, keys.held], [id]).catch(() => {})
      },
    }
  }

  /** What was used of the day's tokens; at most once per unit, however often it is told. */
  async count(unit: string, { tenant, principal, segments, endedAt }: TurnEnded | RelayEnded): Promise<void> {
    const tokens = segments.reduce((sum, { inputTokens, outputTokens }) => sum + inputTokens + outputTokens, 0)
    if (this.#options.limits.tokensPerDay === 0 || tokens === 0) return
    const day = Math.floor(endedAt / DAY_MS)
    const keys = [limitKeys(tenant, principal, '').principal, countedKey(tenant, principal, day)]
    await this.#options.kv.run(countTokens, keys, [unit, tokens])
  }

  close(): void {
    this.#cancelNext()
  }

  /** A store that has lost everything takes every tenant for new; the ledger knows better. */
  async #isOld(tenant: string): Promise<boolean> {
    const { clock, hasSpent } = this.#options
    const known = this.#tenants.get(tenant)
    if (known && (known.isOld || clock.monotonic() - known.at < ASKED_EVERY_MS)) return known.asked
    // Where it cannot be told, what the store says holds.
    const asked = hasSpent?.(tenant, clock.now() - DAY_MS).catch(() => false) ?? Promise.resolve(false)
    const found = { isOld: false, asked, at: clock.monotonic() }
    this.#tenants.set(tenant, found)
    found.isOld = await asked
    return found.isOld
  }

  #figures({ requests, tokens }: Taken): Admitted['limits'] {
    const { requestsPerMinute, tokensPerDay } = this.#options.limits
    const left = { limit: tokensPerDay, remaining: Math.max(0, tokensPerDay - tokens.spent), resetMs: tokens.resetMs }
    return {
      ...(requestsPerMinute > 0 && { requests: { limit: requestsPerMinute, ...requests } }),
      ...(tokensPerDay > 0 && { tokens: left }),
    }
  }

  #renew(): void {
    const { kv, clock } = this.#options
    for (const [held, ids] of this.#held) kv.run(renew, [held], [LEASE_MS, ...ids]).catch(() => {})
    this.#cancelNext = clock.after(RENEWED_EVERY_MS, () => this.#renew())
  }
}

/** What a request takes of a bucket, and what the bucket holds: a minute, rounded to whole requests. */
function bucketOf(perMinute: number): [takes: number, holds: number] {
  if (perMinute === 0) return [0, 0]
  const takes = Math.floor(MINUTE_US / perMinute)
  return [takes, takes * perMinute]
}
