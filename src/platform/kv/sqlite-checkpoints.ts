import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { Log } from '#log.ts'
import type { Clock } from '../clock.ts'
import type { CheckpointOrder, CheckpointResult } from './sqlite-checkpoint-worker.ts'

export interface CheckpointsOptions {
  path: string
  clock: Clock
  log: Log
  /** Above this the write-ahead log has to start anew. */
  maxPages: number
  /** Writing may go on. */
  onRelease: () => void
}

const intervalMs = 1000

/**
 * Checkpoints by a thread of their own, so that no stream waits for the disk. A passive one never stands in the way of
 * writers, but as long as they keep writing the log never starts anew: when it has grown too long, writing is held (calls
 * queue, nothing blocks) for the moment that it takes to copy the little that is left.
 */
export class Checkpoints {
  readonly #options: CheckpointsOptions
  #worker: Worker | undefined
  #cancel: (() => void) | undefined
  #busy = false
  #holding = false
  #written = false

  constructor(options: CheckpointsOptions) {
    this.#options = options
  }

  get holding(): boolean {
    return this.#holding
  }

  wrote(): void {
    this.#written = true
    this.#schedule()
  }

  async close(): Promise<void> {
    this.#cancel?.()
    const worker = this.#worker
    if (!worker) return
    worker.ref()
    const exit = once(worker, 'exit')
    worker.postMessage('close' satisfies CheckpointOrder)
    await exit
  }

  #schedule(): void {
    if (this.#busy || this.#cancel) return
    this.#cancel = this.#options.clock.after(intervalMs, () => {
      this.#cancel = undefined
      this.#order('PASSIVE')
    })
  }

  #order(order: 'PASSIVE' | 'RESTART'): void {
    this.#busy = true
    this.#written = false
    this.#worker ??= this.#start()
    this.#worker.postMessage(order satisfies CheckpointOrder)
  }

  #start(): Worker {
    const worker = new Worker(new URL('./sqlite-checkpoint-worker.ts', import.meta.url), {
      workerData: this.#options.path,
      // Whatever was loaded before the process (a test's watcher, say) is not for this thread.
      execArgv: [],
    })
    worker.on('message', (result: CheckpointResult) => this.#done(result))
    worker.on('error', (error) => {
      this.#options.log.error({ err: error }, 'a checkpoint failed')
      this.#worker = undefined
      this.#release()
    })
    // Whoever forgets to close does not hang.
    worker.unref()
    return worker
  }

  #done({ pages }: CheckpointResult): void {
    if (pages > this.#options.maxPages && !this.#holding) {
      this.#holding = true
      this.#order('RESTART')
    } else {
      this.#release()
    }
  }

  #release(): void {
    this.#busy = false
    if (this.#holding) {
      this.#holding = false
      this.#options.onRelease()
    }
    if (this.#written) this.#schedule()
  }
}
