import type { Clock } from '#platform/clock.ts'
import type { AuditEntry } from '../audit.ts'

/** Somebody was refused. */
export interface Refusal extends Pick<AuditEntry, 'tenant' | 'actor'> {
  kind: 'sign-in.failed' | 'access.refused' | 'tenant.refused'
  details: Readonly<Record<string, string>>
}

const EVERY_MS = 60_000
/** Of a minute; what is more becomes one entry of each kind. */
const MOST_APART = 100

/** Counts refusals and notes them each minute, so that who tries a million times makes no million entries. */
export class Refusals {
  readonly #note: (entry: AuditEntry) => unknown
  readonly #clock: Clock
  #counts = new Map<string, { refusal: Refusal; count: number }>()
  #cancelNext: () => void = () => {}
  #closed = false

  constructor(note: (entry: AuditEntry) => unknown, clock: Clock) {
    this.#note = note
    this.#clock = clock
  }

  add(refusal: Refusal): void {
    if (this.#counts.size === 0 && !this.#closed) this.#cancelNext = this.#clock.after(EVERY_MS, () => this.#flush())
    const known = this.#counts.get(JSON.stringify(refusal))
    if (known) known.count += 1
    else if (this.#counts.size < MOST_APART) this.#counts.set(JSON.stringify(refusal), { refusal, count: 1 })
    else this.#addToOthers(refusal)
    if (this.#closed) this.#flush()
  }

  /** Whoever is refused from now on is noted at once. */
  close(): void {
    this.#closed = true
    this.#cancelNext()
    this.#flush()
  }

  #addToOthers({ tenant, kind }: Refusal): void {
    const others: Refusal = { tenant, kind, actor: null, details: { code: 'others' } }
    const place = `others of ${tenant} ${kind}`
    this.#counts.getOrInsertComputed(place, () => ({ refusal: others, count: 0 })).count += 1
  }

  #flush(): void {
    const counts = [...this.#counts.values()]
    this.#counts = new Map()
    for (const { refusal, count } of counts) {
      const { details, ...entry } = refusal
      this.#note({ ...entry, subject: null, details: { ...details, count } })
    }
  }
}
