import { hash } from 'node:crypto'
import type { ActionPort } from '#actions/port.ts'
import type { ConfigVersion } from '#config/document.ts'
import type { LiveShadow, ShadowBook, SkipReason, Taken } from '#config/shadow.ts'
import { ParleyError } from '#errors.ts'
import type { CopyEnded } from '#governance/ledger.ts'
import type { Stops, Work } from '#governance/stops.ts'
import type { Owner } from '#identity/principal.ts'
import type { Log } from '#log.ts'
import type { Models } from '#models/models.ts'
import type { Clock } from '#platform/clock.ts'
import type { TokenCounter } from '../compaction.ts'
import { callerTools } from '../step.ts'
import type { TurnContext } from '../turn-context.ts'
import { spent } from '../turn-ended.ts'
import { ask, GivenUp } from './ask.ts'
import { copyOf } from './copy.ts'
import { type FirstStep, firstStepOf, judgeCalls, type TurnEnd } from './first-step.ts'
import { overlapOf } from './overlap.ts'

export interface ShadowTurnsOptions {
  book: ShadowBook
  configs: { get(name: string): ConfigVersion | undefined }
  /** Its own: what fails in a copy opens no circuit of those that serve, and waits for no place among their calls. */
  models: Pick<Models, 'answer' | 'use' | 'close'>
  /** Those that serve, for whether they have enough to do. */
  served: Pick<Models, 'health'>
  actions: Pick<ActionPort, 'tools'>
  counter: TokenCounter
  /** Whether a person has consented to copies of their turns. */
  hasConsented(person: Owner): Promise<boolean>
  /** What operators have stopped is not copied either; nothing when absent. */
  stops?: Pick<Stops, 'found' | 'onChange'> | undefined
  /** Hears of each copy that was asked, what it cost. */
  spent?: ((copy: Omit<CopyEnded, 'tenant'>) => void) | undefined
  /** Whether this replica has enough to do. */
  isLoaded(): boolean
  clock: Clock
  log: Log
}

interface Running {
  shadow: string
  work: Work
  done: Promise<void>
}

/** Copies under way on a replica; what comes beyond is not copied. */
const AT_ONCE = 2
const LONGEST_MS = 2 * 60_000
/** How soon a copy that is under way ends when its person withdraws. */
const CONSENT_LOOK_MS = 1000

/**
 * Tries a version on copies of turns that were served: each after its turn was committed and told, beside everything else, or not
 * at all. Nothing waits for it, nothing it does is done, and of what is said figures alone are kept.
 *
 * offered ──not drawn, or something speaks against it──▸ passed over
 * offered ──consent, prompt, money booked──▸ asked ──answer, failure──▸ compared
 * asked ──stopped, withdrawn, closing──▸ given up: what was spent is settled, and nothing is compared
 */
export class ShadowTurns {
  readonly #options: ShadowTurnsOptions
  readonly #running = new Map<AbortController, Running>()
  readonly #stopListening: () => void
  readonly #stopHearing: (() => void) | undefined
  #isClosed = false
  /** The one that its models were asked for. */
  #tried: string | undefined

  constructor(options: ShadowTurnsOptions) {
    this.#options = options
    this.#stopListening = options.book.onStop((stopped) => this.#giveUp(({ shadow }) => shadow === stopped))
    this.#stopHearing = options.stops?.onChange(() => this.#giveUp(({ work }) => this.#isStopped(work)))
  }

  /** A turn was committed. Returns at once and never throws. */
  offer(turn: TurnContext, end: TurnEnd): void {
    const shadow = this.#options.book.live()
    if (!shadow || this.#isClosed) return
    try {
      this.#consider(shadow, turn, end)
    } catch (error) {
      this.#options.log.error({ err: error, shadow: shadow.id }, 'Whether a turn is to be copied could not be told')
    }
  }

  /** What is under way is given up. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#stopListening()
    this.#stopHearing?.()
    this.#giveUp(() => true)
    await Promise.all([...this.#running.values()].map(({ done }) => done))
    await this.#options.models.close()
  }

  #consider(shadow: LiveShadow, turn: TurnContext, end: TurnEnd): void {
    const { book, clock } = this.#options
    if (!isDrawn(shadow, turn.input.turn)) return
    if (end.status === 'cancelled' || turn.input.followUp || turn.prompt.length === 0) return
    const against = this.#against(shadow, turn)
    if (against) return book.skipped(shadow, against)
    this.#begin(shadow, firstStepOf(turn, end, clock.now()))
  }

  #against({ hash: tried }: LiveShadow, { config, input }: TurnContext): SkipReason | undefined {
    const { served, isLoaded } = this.#options
    if (config.hash === tried) return 'same-version'
    if (callerTools({ input }).length > 0) return 'own-tools'
    if (this.#running.size >= AT_ONCE) return 'busy'
    const areModelsBusy = served.health().some(({ queued, coolingUntil }) => queued > 0 || coolingUntil !== undefined)
    return areModelsBusy || isLoaded() ? 'loaded' : undefined
  }

  #begin(shadow: LiveShadow, step: FirstStep): void {
    const { log, models } = this.#options
    if (this.#tried !== shadow.id) models.use([])
    this.#tried = shadow.id
    const abort = new AbortController()
    const { principal, specialist } = step.input
    const work: Work = { principal, specialist }
    const done = this.#copy(shadow, step, abort, work)
      .catch((error: unknown) => log.warn({ err: error, shadow: shadow.id }, 'A turn could not be copied'))
      .finally(() => this.#running.delete(abort))
    this.#running.set(abort, { shadow: shadow.id, work, done })
  }

  async #copy(shadow: LiveShadow, step: FirstStep, abort: AbortController, work: Work): Promise<void> {
    const { book, configs } = this.#options
    const version = configs.get(shadow.version)
    if (version?.hash !== shadow.hash) return book.skipped(shadow, 'version-missing')
    if (!(await this.#mayBeCopied(step))) return book.skipped(shadow, 'no-consent')
    const copy = await copyOf(step, version, this.#options)
    if (typeof copy === 'string') return book.skipped(shadow, copy)
    work.model = copy.candidate.name
    if (this.#isStopped(work)) return book.skipped(shadow, 'stopped')
    const taken = abort.signal.aborted ? undefined : await book.take(shadow, copy.mostUsd)
    if (!taken) return
    const stopWatching = this.#watch(step, abort)
    const { answer, spentUsd, segments } = await ask(this.#options.models, copy, abort.signal).finally(stopWatching)
    this.#options.spent?.({
      ...{ copy: taken.id, config: version.name, specialist: step.input.specialist },
      ...{ segments: segments.map(spent), endedAt: this.#options.clock.now() },
    })
    const isWanted = answer !== undefined && (await this.#mayBeCopied(step))
    await this.#settle(taken, step, version, spentUsd, isWanted ? answer : undefined)
  }

  #settle(
    taken: Taken,
    step: FirstStep,
    version: ConfigVersion,
    spentUsd: number,
    answer: Awaited<ReturnType<typeof ask>>['answer'],
  ): Promise<void> {
    const { book, clock } = this.#options
    if (!answer) return book.settle(taken, spentUsd, null)
    const shadowed = { ...answer.side, calls: judgeCalls(step, version, answer.calls, clock.now()) }
    return book.settle(taken, spentUsd, { served: step.side, shadowed, overlap: overlapOf(step.text, answer.text) })
  }

  /** Who cannot be asked has not consented. */
  #mayBeCopied({ input }: FirstStep): Promise<boolean> {
    return this.#options.hasConsented(input.principal).catch(() => false)
  }

  /** Ends a copy whose person withdraws, or that takes too long. */
  #watch(step: FirstStep, abort: AbortController): () => void {
    const { clock } = this.#options
    let isOver = false
    const look = async () => {
      if (!(await this.#mayBeCopied(step))) abort.abort(new GivenUp())
      else if (!isOver) stopLooking = clock.after(CONSENT_LOOK_MS, look)
    }
    let stopLooking = clock.after(CONSENT_LOOK_MS, look)
    const stopTimer = clock.after(LONGEST_MS, () => abort.abort(new ParleyError('turn_deadline')))
    return () => {
      isOver = true
      stopLooking()
      stopTimer()
    }
  }

  #isStopped(work: Work): boolean {
    return this.#options.stops?.found(work) !== undefined
  }

  #giveUp(isMeant: (running: Running) => boolean): void {
    for (const [abort, running] of this.#running) {
      if (isMeant(running)) abort.abort(new GivenUp())
    }
  }
}

/** By the turn's id: on whichever replica it ends. */
function isDrawn({ id, share }: LiveShadow, turn: string): boolean {
  const drawn = Number.parseInt(hash('sha256', `${id} ${turn}`, 'hex').slice(0, 8), 16)
  return drawn < (share / 100) * 2 ** 32
}
