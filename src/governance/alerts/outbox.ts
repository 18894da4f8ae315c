import { type Kv, key } from '#platform/kv/kv.ts'
import type { Alert, Channel } from './alert.ts'

/** An alert on its way. */
export interface Pending {
  alert: Alert
  /** Where it has not been told yet. */
  left: readonly Channel[]
  attempts: number
  /** When it is anybody's to try: until then it is whoever's claimed it. */
  dueAt: number
}

const AT = key('alerts', 'outbox')
const TRIES = 20
/** What waits, at most: with every channel away, the newest are told of in the log alone. */
const MOST = 1000
const KEPT_MS = 7 * 86_400_000

/** A change that is not written yet. */
interface Waiting {
  /** What is there after it, and how to tell its result once that is written. */
  make(all: readonly Pending[]): [readonly Pending[], () => void]
  reject(error: unknown): void
}

/** What is to be told, kept where every replica sees it: one that dies leaves it to the others. */
export class Outbox {
  readonly #kv: Pick<Kv, 'get' | 'put'>
  readonly #waiting: Waiting[] = []
  #isWriting = false

  constructor(kv: Pick<Kv, 'get' | 'put'>) {
    this.#kv = kv
  }

  /** False when it is full. */
  add(pending: Pending): Promise<boolean> {
    return this.#change((all) => (all.length >= MOST ? [all, false] : [[...all, pending], true]))
  }

  /** Takes what is due until `dueAt`. */
  claim(now: number, dueAt: number): Promise<Pending[]> {
    return this.#change((all) => {
      const isDue = (one: Pending) => one.dueAt <= now
      const due = all.filter(isDue)
      return [due.length === 0 ? all : all.map((one) => (isDue(one) ? { ...one, dueAt } : one)), due]
    })
  }

  /** Keeps what is left of one, or, without, lets go of it. */
  settle(id: string, rest: Pending | undefined): Promise<void> {
    return this.#change((all) => {
      const isKept = all.some(({ alert }) => alert.id === id)
      return [isKept ? all.flatMap((one) => (one.alert.id === id ? (rest ?? []) : one)) : all, undefined]
    })
  }

  #change<Result>(change: (all: readonly Pending[]) => [readonly Pending[], Result]): Promise<Result> {
    const { promise, resolve, reject } = Promise.withResolvers<Result>()
    const make: Waiting['make'] = (all) => {
      const [after, result] = change(all)
      return [after, () => resolve(result)]
    }
    this.#waiting.push({ make, reject })
    if (!this.#isWriting) void this.#writeWaiting()
    return promise
  }

  /** What comes up while one is written goes into the next: a process is never its own rival, however much is due at once. */
  async #writeWaiting(): Promise<void> {
    this.#isWriting = true
    while (this.#waiting.length > 0) {
      const changes = this.#waiting.splice(0)
      try {
        for (const done of await this.#write(changes)) done()
      } catch (error) {
        for (const { reject } of changes) reject(error)
      }
    }
    this.#isWriting = false
  }

  async #write(changes: readonly Waiting[]): Promise<(() => void)[]> {
    for (let tries = 0; tries < TRIES; tries += 1) {
      const found = await this.#kv.get(AT)
      const before: readonly Pending[] = found ? JSON.parse(found.value.toString()) : []
      let after = before
      const done = changes.map(({ make }) => {
        const [made, tell] = make(after)
        after = made
        return tell
      })
      if (after === before) return done
      const options = { ifVersion: found?.version ?? 0, ttlMs: KEPT_MS }
      if (await this.#kv.put(AT, Buffer.from(JSON.stringify(after)), options)) return done
    }
    throw new Error('The outbox of alerts is changed by too many at once.')
  }
}
