import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { ParleyError } from '#errors.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { ConfigDocument } from '../document.ts'
import { type Check, type Load, type Loaded, loadVersion, sealDocument } from '../load.ts'
import type { LoadAnswer, LoadRequest } from './serve-loads.ts'

/** What is built to take long, or much memory, is refused. A version of 1 MiB takes less than half a second. */
const limitMs = 10_000
const heapMiB = 512
/** How long the thread is kept for the next version. */
const idleMs = 60_000
/** What is read on the way, while nothing is served yet: a thread would only begin to start meanwhile. */
const smallBytes = 64 * 1024
const smallBytesInAll = 256 * 1024

export interface ConfigLoaderOptions<Checked> {
  /** Of the thread: it calls `serveLoads`, with checks that it makes of its `workerData`. */
  entry: URL
  /** What versions are checked against; can be cloned. */
  checked: Checked
  /** The same checks, for this thread. */
  checksOf: (checked: Checked) => readonly Check[]
  clock: Clock
  log: Log
}

interface Thread {
  worker: Worker
  /** Aborted when it has ended, for its error where it had one. */
  ended: AbortSignal
}

/**
 * Reads and validates versions beside what is served, in a thread of its own, one after the other. Until `toThread` small
 * ones are read in this one.
 */
export class ConfigLoader<Checked = unknown> {
  readonly #options: ConfigLoaderOptions<Checked>
  readonly #closing = new AbortController()
  #smallLeft = smallBytesInAll
  #thread: Promise<Thread> | undefined
  #last: Promise<unknown> = Promise.resolve()
  #stopIdling = () => {}

  constructor(options: ConfigLoaderOptions<Checked>) {
    this.#options = options
  }

  /** From now on this thread has something to serve. */
  toThread(): void {
    this.#smallLeft = 0
  }

  /** Rejects with shutting_down once it is closed. */
  readonly load: Load = (name, bytes, format) => {
    if (bytes.length <= Math.min(smallBytes, this.#smallLeft)) {
      this.#smallLeft -= bytes.length
      const { checked, checksOf } = this.#options
      return Promise.try(() => loadVersion(name, bytes, format, checksOf(checked)))
    }
    const loaded = this.#last.then(() => this.#loadNow({ name, bytes, format }))
    this.#last = loaded.catch(() => {})
    return loaded
  }

  async close(): Promise<void> {
    this.#closing.abort(new ParleyError('shutting_down'))
    await this.#last
    await this.#endThread()
  }

  async #loadNow(request: LoadRequest): Promise<Loaded> {
    const { clock, log } = this.#options
    const late = new AbortController()
    this.#stopIdling()
    let cancel = () => {}
    try {
      this.#closing.signal.throwIfAborted()
      this.#thread ??= this.#startThread()
      const thread = await this.#thread
      const { worker } = thread
      // Whoever waits for it keeps the process alive, an idle one does not.
      worker.ref()
      cancel = clock.after(limitMs, () => late.abort())
      worker.postMessage(request)
      const answer = await this.#answerOf(thread, AbortSignal.any([late.signal, this.#closing.signal]))
      worker.unref()
      this.#stopIdling = clock.after(idleMs, () => void this.#endThread())
      return loadedOf(request.name, answer)
    } catch (error) {
      await this.#endThread()
      this.#closing.signal.throwIfAborted()
      if (late.signal.aborted) return refused(`takes longer than ${limitMs / 1000} seconds to read`)
      if (isOutOfMemory(error)) return refused(`takes more than ${heapMiB} MiB of memory to read`)
      log.error({ err: error, version: request.name }, 'Reading a config version failed')
      return refused('cannot be read, for a reason of our own that the log tells')
    } finally {
      cancel()
    }
  }

  async #startThread(): Promise<Thread> {
    const { entry, checked } = this.#options
    const resourceLimits = { maxOldGenerationSizeMb: heapMiB }
    // Whatever was loaded before the process (a test's watcher, say) is not for this thread.
    const worker = new Worker(entry, { workerData: checked, resourceLimits, execArgv: [] })
    const end = new AbortController()
    worker.once('error', (error) => end.abort(error))
    worker.once('exit', () => end.abort(new Error('The thread has ended')))
    const thread = { worker, ended: end.signal }
    try {
      await this.#answerOf(thread, this.#closing.signal)
      return thread
    } catch (error) {
      await worker.terminate()
      throw error
    }
  }

  async #answerOf({ worker, ended }: Thread, signal: AbortSignal): Promise<LoadAnswer> {
    try {
      // A thread that dies right after an answer has, on a busy machine, died before anybody waits for its next.
      const [answer]: LoadAnswer[] = await once(worker, 'message', { signal: AbortSignal.any([signal, ended]) })
      if (answer === undefined) throw new Error('The thread has answered nothing')
      return answer
    } catch (error) {
      ended.throwIfAborted()
      throw error
    }
  }

  async #endThread(): Promise<void> {
    this.#stopIdling()
    const thread = this.#thread
    this.#thread = undefined
    await thread?.then(
      ({ worker }) => worker.terminate(),
      () => {},
    )
  }
}

function loadedOf(name: string, answer: LoadAnswer): Loaded {
  if (answer === 'ready') throw new Error('The thread has started twice')
  if ('faults' in answer) return answer
  const document: ConfigDocument = JSON.parse(answer.document)
  return { version: { name, hash: answer.hash, document: sealDocument(document) } }
}

function refused(message: string): Loaded {
  return { faults: [{ path: '', line: 1, column: 1, message }] }
}

function isOutOfMemory(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY'
}
