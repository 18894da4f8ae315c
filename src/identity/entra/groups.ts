import { LRUCache } from 'lru-cache'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { EntraClient } from '#platform/entra/entra.ts'
import { type Owner, type Principal, partitionOf } from '../principal.ts'
import type { TokenVerifier } from './token-verifier.ts'

export interface GroupsOptions {
  entra: Pick<EntraClient, 'onBehalfOf'>
  /** Microsoft Graph, such as `https://graph.microsoft.com`. */
  graph: string
  /** Reaches it. */
  fetch: typeof fetch
  /** The groups that it matters of whether somebody is in them. */
  wanted(tenant: string): readonly string[]
  clock: Clock
  log: Log
}

export type Membership = Required<Pick<Principal, 'groups' | 'groupsAmong'>>

/** Which of the wanted groups a user is in; of none where it cannot be told. Never rejects. */
export type GroupLookup = (user: Owner, token: string) => Promise<Membership>

interface Known extends Membership {
  /** Monotonic ms. */
  at: number
}

const KNOWN_USERS = 10_000
/** As long as Entra leaves a group in a token that it has given, about. */
const FRESH_MS = 15 * 60_000
/** Where the directory does not answer. */
const STALE_MS = 60 * 60_000
const RETRY_MS = 10_000
const TIMEOUT_MS = 5000
/** What Graph takes in one request, and how often somebody is asked about at most. */
const AT_ONCE = 20
const MOST_GROUPS = 200
const MAX_CHARACTERS = 1 << 16
const NOTHING: Membership = { groups: [], groupsAmong: [] }

/**
 * Entra names no groups in the token of somebody who is in more than two hundred. Of those alone that somebody has set a budget for
 * Microsoft Graph is asked, as the user, whether they are among the user's: directly or by way of other groups.
 */
export function createGroupLookup(options: GroupsOptions): GroupLookup {
  const { entra, graph, fetch, wanted, clock, log } = options
  const known = new LRUCache<string, Known>({ max: KNOWN_USERS })
  const failedAt = new LRUCache<string, number>({ max: KNOWN_USERS })
  const asking = new Map<string, Promise<Known | undefined>>()

  async function ask({ tenant }: Owner, assertion: string, among: readonly string[]): Promise<Known> {
    const { token } = await entra.onBehalfOf({ tenant, assertion, scope: `${graph}/.default` })
    const at = clock.monotonic()
    const groups: string[] = []
    for (let from = 0; from < among.length; from += AT_ONCE) {
      groups.push(...(await check(fetch, graph, token, among.slice(from, from + AT_ONCE))))
    }
    return { groups, groupsAmong: among, at }
  }

  async function askOnce(user: Owner, token: string, among: readonly string[]): Promise<Known | undefined> {
    const whose = partitionOf(user)
    if (clock.monotonic() - (failedAt.get(whose) ?? Number.NEGATIVE_INFINITY) < RETRY_MS) return undefined
    const under = asking.get(whose)
    if (under) return under
    const asked = ask(user, token, among).then(
      (found) => {
        known.set(whose, found)
        return found
      },
      (error: unknown) => {
        failedAt.set(whose, clock.monotonic())
        log.warn({ err: error }, 'Which groups a user is in could not be asked; what has a budget by group is refused')
        return undefined
      },
    )
    asking.set(whose, asked)
    void asked.finally(() => asking.delete(whose))
    return asked
  }

  return async (user, token) => {
    const among = [...wanted(user.tenant)].sort().slice(0, MOST_GROUPS)
    if (among.length === 0) return NOTHING
    const before = known.get(partitionOf(user))
    const within = (ms: number) => before !== undefined && clock.monotonic() - before.at <= ms && covers(before, among)
    if (before && within(FRESH_MS)) return only(before, among)
    const found = await askOnce(user, token, among)
    if (found && covers(found, among)) return only(found, among)
    return before && within(STALE_MS) ? only(before, among) : NOTHING
  }
}

/** Tells groups also of those whose tokens name none, where that can be asked. */
export function withGroups(tokens: TokenVerifier, lookup: GroupLookup): TokenVerifier {
  return {
    async verify(token) {
      const identified = await tokens.verify(token)
      const { principal } = identified
      if (!principal.groupsAmong || principal.kind !== 'user') return identified
      return { ...identified, principal: { ...principal, ...(await lookup(principal, token)) } }
    },
  }
}

async function check(fetchIt: typeof fetch, graph: string, token: string, groupIds: string[]): Promise<string[]> {
  const response = await fetchIt(`${graph}/v1.0/me/checkMemberGroups`, {
    method: 'POST',
    redirect: 'error',
    signal: AbortSignal.timeout(TIMEOUT_MS),
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify({ groupIds }),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`The directory answers ${response.status}.`)
  if (text.length > MAX_CHARACTERS) throw new Error('The directory answers too much.')
  const answer: unknown = JSON.parse(text)
  const value = typeof answer === 'object' && answer !== null && 'value' in answer ? answer.value : undefined
  if (!Array.isArray(value)) throw new Error('The directory answers something else.')
  return groupIds.filter((id) => value.includes(id))
}

function covers({ groupsAmong }: Membership, among: readonly string[]): boolean {
  return among.every((id) => groupsAmong.includes(id))
}

function only({ groups }: Membership, among: readonly string[]): Membership {
  return { groups: groups.filter((id) => among.includes(id)), groupsAmong: among }
}
