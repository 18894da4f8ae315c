import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import { type Kv, key } from '#platform/kv/kv.ts'
import { listenForNews } from '../rollout/news.ts'
import type { LiveShadow } from '../shadow.ts'
import { type Ending, end, noShadow, type ShadowState } from './shadow-state.ts'
import { changeRecord, readRecord } from './shared-record.ts'

const stateKey = key('shadow', 'state')
const newsKey = key('shadow', 'news')

/** What is tried, as this replica knows it: it hears of changes, and looks now and then for what it did not hear. */
export class PresentShadow {
  state: ShadowState = noShadow()
  readonly #kv: Kv
  readonly #log: Log
  readonly #clock: Clock
  readonly #listeners = new Set<(shadow: string) => void>()
  #stopNews: () => Promise<void> = async () => {}

  constructor({ kv, log, clock }: { kv: Kv; log: Log; clock: Clock }) {
    this.#kv = kv
    this.#log = log
    this.#clock = clock
  }

  get live(): LiveShadow | undefined {
    return this.state.live ?? undefined
  }

  listen(): void {
    this.#stopNews = listenForNews(this.#kv, newsKey, () => void this.look(), this.#clock)
  }

  /** Never rejects: what cannot be looked at stays as it was. */
  async look(): Promise<void> {
    try {
      await this.read()
    } catch (error) {
      if (this.live) this.#log.warn({ err: error }, 'What is in the shadow cannot be looked at; it stays as it was')
    }
  }

  /** Rejects with state_unavailable. */
  async read(): Promise<void> {
    this.#accept((await readRecord<ShadowState>(this.#kv, stateKey)) ?? noShadow())
  }

  /** Rejects with state_unavailable, and with what `next` throws. */
  async change(next: (state: ShadowState) => ShadowState): Promise<void> {
    this.#accept(await changeRecord(this.#kv, stateKey, noShadow, next))
    // Who does not hear of it finds it at the next look.
    await this.#kv.signal(newsKey).catch(() => {})
  }

  async finish({ id, version }: LiveShadow, ending: Ending): Promise<void> {
    await this.change((state) => end(state, id, ending))
    this.#log.info({ shadow: id, config: version, ended: ending.ended }, 'A shadow has ended')
  }

  /** Hears of each that a person has ended, or that is lost. */
  onStop(listener: (shadow: string) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  close(): Promise<void> {
    return this.#stopNews()
  }

  #accept(next: ShadowState): void {
    const before = this.state.live
    this.state = next
    if (!before || next.live?.id === before.id) return
    const ended = next.finished.find(({ id }) => id === before.id)?.ended
    // What is under way when count, budget or time run out was booked, and may come to its end.
    if (ended !== undefined && ended !== 'stopped') return
    for (const listener of this.#listeners) listener(before.id)
  }
}
