import { LRUCache } from 'lru-cache'
import { ParleyError } from '#errors.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { Identified } from '../authenticator.ts'
import type { Withdrawals } from '../keys.ts'
import type { Principal } from '../principal.ts'
import { unserved } from '../unserved.ts'
import {
  type Credential,
  credentialsOf,
  endOf,
  endOfKey,
  isDoubted,
  keyRefused,
  matching,
  oldText,
} from './credential.ts'
import { type KeyText, readKeyText } from './key-text.ts'
import type { KeyStore } from './store.ts'
import { Watch } from './watch.ts'

export interface RingOptions {
  store: Pick<KeyStore, 'find' | 'touch'>
  withdrawals: Withdrawals
  /** There may be keys; else nobody has one, and no database is opened to find out. */
  hasSql(): boolean
  /** Keys of a tenant stay when it is served no more. */
  serves(tenant: string): boolean
  clock: Clock
  log: Log
}

interface Known {
  credentials: readonly Credential[]
  /** Monotonic ms, when it began to be read. */
  readAt: number
  /** ms since the epoch, when its use was last noted; null when never. */
  usedAt: number | null
}

const KNOWN_KEYS = 10_000
/** What the store is told of a key counts at once; all else so soon. */
const KNOWN_MS = 60_000
/** With the database away, a key that is known goes on for so long: whether it was revoked is known all the same. */
const STALE_MS = 10 * 60_000
/** Who has not heard of the store for so long does not know what was withdrawn, and takes no key. */
const SILENT_MS = 750
const USE_NOTED_EVERY_MS = 60 * 60_000

/** The keys that this replica has met: who comes with one again costs no question to anybody. */
export class KeyRing {
  readonly #options: RingOptions
  readonly #known = new LRUCache<string, Known>({ max: KNOWN_KEYS })
  readonly #watch: Watch
  readonly #noting = new Set<Promise<void>>()

  constructor(options: RingOptions) {
    this.#options = options
    const latest = (credential: Credential) => this.#latest(credential)
    this.#watch = new Watch({ ...options, latest, refresh: (id) => this.#refresh(id) })
  }

  verify(text: string): Identified | Promise<Identified> {
    const { clock, withdrawals } = this.#options
    const read = readKeyText(text)
    if (!read) throw keyRefused('This is not a Parley key, or not all of one.')
    const known = this.#known.get(read.id)
    const isKnown = known && clock.monotonic() - known.readAt < KNOWN_MS && withdrawals.silentMs <= SILENT_MS
    const found = isKnown ? matching(known.credentials, read.digest) : undefined
    return known && found && !isDoubted(found, withdrawals) ? this.#taken(known, found) : this.#lookUp(read)
  }

  /** The row as it stands, at most a minute old. */
  async isLive({ id }: Principal): Promise<boolean> {
    const known = this.#known.get(id)
    const { row } = (known ? await this.#fresh(id, known) : await this.#read(id))?.credentials[0] ?? {}
    const { serves, withdrawals, clock } = this.#options
    return row !== undefined && serves(row.tenant) && endOfKey(row, withdrawals, clock.now()) === undefined
  }

  async close(): Promise<void> {
    this.#watch.close()
    await Promise.all(this.#noting)
  }

  async #lookUp({ id, digest }: KeyText): Promise<Identified> {
    const known = this.#known.get(id)
    const before = known && matching(known.credentials, digest)
    const fresh = known && before ? await this.#fresh(id, known, before) : await this.#read(id)
    const found = fresh && matching(fresh.credentials, digest)
    // Whether there is such a key is nobody's business who does not have it.
    if (!found) throw before ? oldText() : keyRefused('There is no such key.')
    return this.#taken(fresh, found)
  }

  #taken(known: Known, credential: Credential): Identified {
    const { serves, withdrawals, clock } = this.#options
    if (!serves(credential.row.tenant)) throw unserved()
    const refusal = endOf(credential, withdrawals, clock.now())
    if (refusal) throw refusal
    this.#noteUse(credential.row.id, known)
    return credential.identified
  }

  async #fresh(id: string, known: Known, sent?: Credential): Promise<Known | undefined> {
    const { clock, withdrawals } = this.#options
    const age = clock.monotonic() - known.readAt
    if (withdrawals.silentMs > SILENT_MS) await withdrawals.look()
    const isOpen = sent !== undefined && isDoubted(sent, withdrawals)
    if (age < KNOWN_MS && !isOpen) return known
    try {
      return await this.#read(id)
    } catch (error) {
      const isAway = error instanceof ParleyError && error.code === 'database_unavailable'
      if (isAway && age < STALE_MS && !isOpen) return known
      throw error
    }
  }

  async #read(id: string): Promise<Known | undefined> {
    const { store, withdrawals, hasSql, clock } = this.#options
    if (!hasSql()) return undefined
    // Before the row, which has the last word on what is withdrawn.
    if (withdrawals.silentMs > SILENT_MS) await withdrawals.look()
    const readAt = clock.monotonic()
    const row = await store.find(id)
    if (!row) {
      this.#known.delete(id)
      return undefined
    }
    const onEnded = (credential: Credential) => (listener: () => void) => this.#watch.add(credential, listener)
    const usedAt = Math.max(row.usedAt ?? 0, this.#known.peek(id)?.usedAt ?? 0) || null
    const known = { credentials: credentialsOf(row, onEnded), readAt, usedAt }
    this.#known.set(id, known)
    return known
  }

  /** What is known of a text by now; undefined where it is none of the key's any more. */
  #latest(credential: Credential): Credential | undefined {
    const known = this.#known.peek(credential.row.id)
    return known ? matching(known.credentials, credential.digest) : credential
  }

  /** For who stays without asking. Never rejects: with the database away, what is known holds, but for what is in doubt. */
  async #refresh(id: string): Promise<void> {
    const { clock, withdrawals } = this.#options
    const known = this.#known.peek(id)
    if (!known) return
    const sure = known.credentials.filter((credential) => !isDoubted(credential, withdrawals))
    if (sure.length === known.credentials.length && clock.monotonic() - known.readAt < KNOWN_MS) return
    await this.#read(id).catch(() => {
      known.credentials = sure
    })
  }

  /** In the background, and seldom: a use is no reason for a write. */
  #noteUse(id: string, known: Known): void {
    const { store, clock, log } = this.#options
    const now = clock.now()
    if (known.usedAt !== null && now - known.usedAt < USE_NOTED_EVERY_MS) return
    known.usedAt = now
    const noting = store
      .touch(id, now)
      .catch((error) => log.debug({ key: id, err: error }, 'That a key was used could not be noted'))
      .finally(() => this.#noting.delete(noting))
    this.#noting.add(noting)
  }
}
