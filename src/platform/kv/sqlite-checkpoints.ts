import { Worker } from 'node:worker_threads'
import type { Log } from '#log.ts'
import type { Clock } from '../clock.ts'
import type { CheckpointOrder, CheckpointResult } from './sqlite-checkpoint-worker.ts'

export interface CheckpointsOptions {
  path: string
  clock: Clock
  log: Log
  /** About as long, in pages, as the write-ahead log may get; never more than two or three times that. */
  maxPages: number
  /** Writing may go on. */
  onRelease: () => void
}

const intervalMs = 1000
const pageBytes = 4096
/** A transaction writes more pages than its bytes fill. */
const extraPages = 3

/**
 * Checkpoints by a thread of their own, so that no stream waits for the disk. A passive one never stands in the way of
 * writers, but as long as they keep writing the log never starts anew: when it gets too long, writing is held (calls
 * queue, nothing blocks) for the moment that it takes to copy what was written since the last passive one.
 */
export class Checkpoints {
  readonly #options: CheckpointsOptions
  #worker: Worker | undefined
  #cancel: (() => void) | undefined
  #underWay: CheckpointOrder | undefined
  #holding = false
  /** In the log when the last order was given, and written since, as far as one can tell from here. */
  #pages = 0
  #pagesSince = 0
  #closed = false

  constructor(options: CheckpointsOptions) {
    this.#options = options
  }

  get holding(): boolean {
    return this.#holding
  }

  wrote(bytes: number): void {
    this.#pagesSince += Math.ceil(bytes / pageBytes) + extraPages
    const { maxPages } = this.#options
    const pages = this.#pages + this.#pagesSince
    if (pages > 2 * maxPages) this.#holding = true
    if (pages > maxPages) this.#begin()
    else this.#schedule()
  }

  /** Waits for the checkpoint that is under way; writing is no longer held. */
  async close(): Promise<void> {
    this.#closed = true
    this.#cancel?.()
    const worker = this.#worker
    if (!worker) return
    worker.ref()
    // `once` would reject where the thread fails just then, and it ends in either case.
    const exit = new Promise<void>((resolve) => worker.once('exit', () => resolve()))
    worker.postMessage('close' satisfies CheckpointOrder)
    await exit
    this.#holding = false
  }

  #schedule(): void {
    if (this.#underWay || this.#cancel || this.#closed) return
    this.#cancel = this.#options.clock.after(intervalMs, () => this.#begin())
  }

  #begin(): void {
    this.#cancel?.()
    this.#cancel = undefined
    if (!this.#underWay && !this.#closed) this.#order('PASSIVE')
  }

  #order(order: CheckpointOrder): void {
    this.#underWay = order
    this.#pages += this.#pagesSince
    this.#pagesSince = 0
    this.#worker ??= this.#start()
    this.#worker.postMessage(order)
  }

  #start(): Worker {
    const worker = new Worker(new URL('./sqlite-checkpoint-worker.ts', import.meta.url), {
      workerData: this.#options.path,
      // Whatever was loaded before the process (a test's watcher, say) is not for this thread.
      execArgv: [],
    })
    worker.on('message', (result: CheckpointResult) => this.#done(result))
    worker.on('error', (error) => {
      this.#options.log.error({ err: error }, 'A checkpoint failed')
      this.#worker = undefined
      this.#release()
    })
    // Whoever forgets to close does not hang.
    worker.unref()
    return worker
  }

  #done({ pages, copied }: CheckpointResult): void {
    if (this.#closed) return
    const wasPassive = this.#underWay === 'PASSIVE'
    // The next writer starts the log anew when nothing in it is needed any more.
    this.#pages = copied === pages && this.#pagesSince === 0 ? 0 : pages
    if (wasPassive && (this.#holding || this.#pages + this.#pagesSince > this.#options.maxPages)) {
      this.#holding = true
      this.#order('RESTART')
    } else {
      this.#release()
    }
  }

  #release(): void {
    this.#underWay = undefined
    if (this.#pagesSince > 0) this.#schedule()
    if (!this.#holding) return
    this.#holding = false
    this.#options.onRelease()
  }
}
