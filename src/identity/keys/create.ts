import { hash } from 'node:crypto'
import { ParleyError } from '#errors.ts'
import { newId } from '#ids.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { Sql } from '#platform/sql/sql.ts'
import type { KeyDone, Keys, KeyView, KeyWish, RecordKey, Rotation, Withdrawals } from '../keys.ts'
import { type Owner, type Principal, partitionOf } from '../principal.ts'
import { keyScope, secretScope } from './credential.ts'
import { type KeyRow, statusOf, viewOf } from './key-row.ts'
import { digestOf, newKeyText } from './key-text.ts'
import { KeyRing } from './ring.ts'
import { createKeyStore, type Rotated } from './store.ts'

export interface KeysOptions {
  /** With `keysMigration`. */
  sql: Sql
  withdrawals: Withdrawals
  record: RecordKey
  hasSql(): boolean
  /** Whoever comes from this tenant may be let in. */
  serves(tenant: string): boolean
  clock: Clock
  log: Log
}

const DAY_MS = 86_400_000
const MINUTE_MS = 60_000
/** Longer than any replica goes by what it once read of a key, and than any turn lasts. */
const WITHDRAWN_FOR_MS = 20 * MINUTE_MS
const PAGE = 200

export function createKeys({ sql, withdrawals, record, hasSql, serves, clock, log }: KeysOptions): Keys {
  const store = createKeyStore(sql)
  const ring = new KeyRing({ store, withdrawals, hasSql, serves, clock, log })

  async function withdraw(scope: string, by: Owner): Promise<void> {
    const at = clock.now()
    await withdrawals.set({ scope, reason: 'withdrawn', by: partitionOf(by), at, until: at + WITHDRAWN_FOR_MS })
  }

  async function mine(by: Principal, id: string): Promise<KeyRow> {
    refuseKeys(by)
    const row = hasSql() ? await store.get(by.tenant, id) : undefined
    if (!row || !(row.owner === by.id || by.roles.includes('Admin'))) throw new ParleyError('key_not_found')
    return row
  }

  const doneBy = (by: Owner, kind: KeyDone['kind'], key: string, details: KeyDone['details'] = {}): KeyDone => {
    return { kind, by, tenant: by.tenant, key, details }
  }

  async function page(tenant: string, asked: { owner?: string; cursor?: string; limit: number }) {
    const rows = hasSql() ? await store.list(tenant, asked) : []
    const next = rows.length === asked.limit ? (rows.at(-1)?.id ?? null) : null
    return { items: rows.map((row) => viewOf(row, clock.now())), next }
  }

  async function* ofOwner({ tenant, id: owner }: Owner): AsyncGenerator<KeyView> {
    for (let cursor: string | undefined; ; ) {
      const { items, next } = await page(tenant, { owner, limit: PAGE, ...(cursor !== undefined && { cursor }) })
      yield* items
      if (next === null) return
      cursor = next
    }
  }

  return {
    verify: (text) => ring.verify(text),
    isLive: async (principal) => principal.key === undefined || ring.isLive(principal),

    async create(by, wish, request) {
      refuseKeys(by)
      if (by.kind !== 'user') {
        throw new ParleyError('forbidden', {
          message: 'Only a person makes keys: an application has a credential of its own.',
        })
      }
      const now = clock.now()
      const { name, days, chat, actions, budget } = wish
      const id = newId('key')
      const text = newKeyText(id)
      const expiresAt = now + days * DAY_MS
      const key = {
        ...{
          tenant: by.tenant,
          id,
          owner: by.id,
          name,
          groups: by.groups ?? [],
          groupsAmong: by.groupsAmong ?? null,
          chat,
          actions,
          expiresAt,
          createdAt: now,
        },
        ...{ budgetUsd: budget?.limitUsd ?? null, budgetPeriod: budget?.period ?? null, hash: digestOf(text) },
        ...{ request: request === undefined ? null : hash('sha256', request), asked: hashOf(wish) },
      }
      const made = doneBy(by, 'created', id, grantedIn(wish, expiresAt))
      const { row, isNew } = await store.insert(key, (tx) => record(tx, made))
      if (isNew) log.info({ key: id, expiresAt }, 'A key was made')
      return { view: viewOf(row, now), text: isNew ? text : undefined }
    },

    async list(by, { whose, owner, ...rest }) {
      refuseKeys(by)
      if (whose === 'mine') return page(by.tenant, { ...rest, owner: by.id })
      if (!by.roles.includes('Admin')) throw new ParleyError('forbidden')
      return page(by.tenant, { ...rest, ...(owner !== undefined && { owner }) })
    },

    get: async (by, id) => viewOf(await mine(by, id), clock.now()),

    async rotate(by, id, rotation, ifVersion) {
      const { owner } = await mine(by, id)
      // Whoever gets the text can act as the key, which is not what an Admin is for.
      if (owner !== by.id)
        throw new ParleyError('forbidden', { message: 'A key is rotated by who made it; an Admin revokes it.' })
      const now = clock.now()
      const text = newKeyText(id)
      const ended: Buffer[] = []
      const decide = (row: KeyRow | undefined): Rotated => {
        if (!row) throw new ParleyError('key_not_found')
        if (statusOf(row, now) !== 'live') throw new ParleyError('key_state')
        if (row.version !== ifVersion) throw new ParleyError('version_conflict', { param: 'if-match' })
        ended.splice(0, ended.length, ...endedBy(row, rotation, now))
        return rotated(row, digestOf(text), rotation, now)
      }
      const row = await store.rotate(by.tenant, id, now, decide, async (tx, { oldUntil, expiresAt }) => {
        await record(tx, doneBy(by, 'rotated', id, { oldUntil, expiresAt }))
        // Where it cannot be told, the key stays as it was; where it is told and not done, the row says so to whoever asks.
        for (const digest of ended) await withdraw(secretScope(digest), by)
      })
      log.info({ key: id }, 'A key was rotated')
      return { view: viewOf(row, now), text }
    },

    async revoke(by, id) {
      await mine(by, id)
      const revoking = store.revoke(by.tenant, id, clock.now(), (tx) => record(tx, doneBy(by, 'revoked', id)))
      // Each by itself: whichever of the two is away, the other has it.
      const isTold = withdrawals.get(keyScope(id)) !== undefined
      const [revoked, told] = await Promise.allSettled([revoking, isTold || withdraw(keyScope(id), by)])
      if (revoked.status === 'rejected') throw revoked.reason
      if (told.status === 'rejected') throw told.reason
      if (revoked.value) log.info({ key: id }, 'A key was revoked')
    },

    ofOwner,

    async disown(owner) {
      if (!hasSql()) return 0
      // Told first: once nobody knows any more whose they were, nobody could tell after a crash.
      for await (const { id, status } of ofOwner(owner)) if (status === 'live') await withdraw(keyScope(id), owner)
      return store.disown(owner, clock.now(), (tx, key) => {
        return record(tx, {
          kind: 'revoked',
          by: null,
          tenant: owner.tenant,
          key,
          details: { because: 'owner erased' },
        })
      })
    },

    close: () => ring.close(),
  }
}

/** Whoever found a key could otherwise make others of it that nobody knows of. */
function refuseKeys({ key }: Principal): void {
  if (key) throw new ParleyError('key_scope', { message: 'A key does not manage keys.' })
}

function rotated(row: KeyRow, digest: Buffer, { overlapMinutes, days }: Rotation, now: number): Rotated {
  const hasOverlap = overlapMinutes > 0
  return {
    hash: digest,
    oldHash: hasOverlap ? row.hash : null,
    oldUntil: hasOverlap ? now + overlapMinutes * MINUTE_MS : null,
    expiresAt: days === undefined ? row.expiresAt : now + days * DAY_MS,
  }
}

/** The texts that are good until now, and end at once. */
function endedBy({ hash: present, oldHash, oldUntil }: KeyRow, { overlapMinutes }: Rotation, now: number): Buffer[] {
  const old = oldHash !== null && oldUntil !== null && oldUntil > now ? [oldHash] : []
  return overlapMinutes > 0 ? old : [...old, present]
}

function grantedIn({ chat, actions, budget }: KeyWish, expiresAt: number): KeyDone['details'] {
  return { expiresAt, chat: chat.join(' '), actions: actions.join(' '), budgetUsd: budget?.limitUsd ?? null }
}

function hashOf({ name, days, chat, actions, budget }: KeyWish): string {
  return hash('sha256', JSON.stringify([name, days, chat, actions, budget?.limitUsd, budget?.period]))
}
