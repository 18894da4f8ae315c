import { Duplex } from 'node:stream'
import { Worker } from 'node:worker_threads'

/** `template` is copied where there is nothing at `path` yet. */
export interface PgliteFolder {
  path: string
  template?: string | undefined
}

/**
 * What PostgreSQL's protocol is spoken over, as a socket would carry it: to a thread that has the database. What is written
 * together goes as one message, and what the database says to it comes back as one.
 */
export class PgliteStream extends Duplex {
  readonly #folder: PgliteFolder
  readonly #before: Promise<unknown>
  #worker: Worker | undefined
  #exit = Promise.withResolvers<void>()
  #held = true

  /** `before`: whoever has the folder until now is done with it. */
  constructor(folder: PgliteFolder, before: Promise<unknown>) {
    super()
    this.#folder = folder
    this.#before = before
  }

  /** Resolves when the database is closed. */
  get ended(): Promise<void> {
    return this.#exit.promise
  }

  connect(): this {
    void this.#before.then(() => {
      if (this.destroyed) return this.#exit.resolve()
      this.#start()
    })
    return this
  }

  setNoDelay(): this {
    return this
  }

  setKeepAlive(): this {
    return this
  }

  ref(): this {
    this.#held = true
    this.#worker?.ref()
    return this
  }

  unref(): this {
    this.#held = false
    this.#worker?.unref()
    return this
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#post(chunk)
    done()
  }

  override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
    this.#post(Buffer.concat(chunks.map(({ chunk }) => chunk)))
    done()
  }

  override _final(done: () => void): void {
    this.#worker?.ref()
    this.#worker?.postMessage('close')
    void this.#exit.promise.then(done)
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (!this.#worker) return done(error)
    // After a proper end it has exited already.
    void this.#worker.terminate().then(() => done(error))
  }

  #start(): void {
    const worker = new Worker(new URL('./pglite-worker.ts', import.meta.url), {
      workerData: this.#folder,
      // Whatever was loaded before the process (a test's watcher, say) is not for this thread.
      execArgv: [],
    })
    this.#worker = worker
    if (!this.#held) worker.unref()
    worker.on('message', (said: 'open' | Uint8Array) => {
      if (said === 'open') this.emit('connect')
      else this.push(Buffer.from(said.buffer, said.byteOffset, said.byteLength))
    })
    worker.once('error', (error: Error) => this.destroy(error))
    worker.once('exit', () => {
      this.#exit.resolve()
      if (this.writableEnded) this.push(null)
      else this.destroy(new Error('the thread of the database has ended'))
    })
  }

  #post(bytes: Buffer): void {
    this.#worker?.postMessage(bytes)
  }
}
