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

/** What is to be told, kept where every replica sees it: one that dies leaves it to the others. */
export class Outbox {
  readonly #kv: Pick<Kv, 'get' | 'put'>

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

  async #change<Result>(change: (all: readonly Pending[]) => [readonly Pending[], Result]): Promise<Result> {
    for (let tries = 0; tries < TRIES; tries += 1) {
      const found = await this.#kv.get(AT)
      const before: readonly Pending[] = found ? JSON.parse(found.value.toString()) : []
      const [after, result] = change(before)
      if (after === before) return result
      const options = { ifVersion: found?.version ?? 0, ttlMs: KEPT_MS }
      if (await this.#kv.put(AT, Buffer.from(JSON.stringify(after)), options)) return result
    }
    throw new Error('The outbox of alerts is changed by too many at once.')
  }
}
