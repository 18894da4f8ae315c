import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { RunStatus } from '../../src/actions/port.ts'
import { nodeVariables } from './node-variables.ts'
import type { FromRunWorker, RunCall, RunWorkerOptions, ToRunWorker } from './run-worker.ts'

/** What all runs come to. */
export interface RunCounts {
  status: RunStatus
  /** For another of its conversation. */
  waiting: boolean
  count: number
}

type Question = ToRunWorker extends infer Each ? (Each extends { id: number } ? Omit<Each, 'id'> : never) : never

/** A process of `run-worker.ts`. Questions to one that dies are rejected. */
export class RunWorkerProcess implements AsyncDisposable {
  readonly ready: Promise<void>
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>
  readonly #asked = new Map<number, PromiseWithResolvers<unknown>>()
  #isReady = false
  #questions = 0

  constructor(options: RunWorkerOptions) {
    this.#child = fork(fileURLToPath(import.meta.resolve('./run-worker.ts')), {
      env: { ...nodeVariables(), RUN_WORKER: JSON.stringify(options) },
      // What it was started with is for tests.
      execArgv: [],
    })
    this.#exited = once(this.#child, 'exit').then(() => this.#gone())
    const ready = Promise.withResolvers<void>()
    this.ready = ready.promise
    this.ready.catch(() => {})
    void this.#exited.then(() => ready.reject(new Error('the worker is gone')))
    this.#child.on('message', (message: FromRunWorker) => {
      if ('ready' in message) {
        this.#isReady = true
        return ready.resolve()
      }
      const waiting = this.#asked.get(message.id)
      this.#asked.delete(message.id)
      if ('error' in message) waiting?.reject(new Error(message.error))
      else waiting?.resolve(message.answer)
    })
  }

  get isReady(): boolean {
    return this.#isReady
  }

  /** The run's id; or why it is not taken on. The same key again is the same run. */
  dispatch(call: RunCall): Promise<{ run: string } | { refused: string }> {
    return this.#ask({ do: 'dispatch', call })
  }

  counts(): Promise<{ counts: RunCounts[]; residentBytes: number }> {
    return this.#ask({ do: 'counts' })
  }

  query<Row>(text: string): Promise<Row[]> {
    return this.#ask({ do: 'sql', text })
  }

  /** SIGKILL, and gone. */
  async kill(): Promise<void> {
    this.#isReady = false
    this.#child.kill('SIGKILL')
    await this.#exited
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
  }

  #ask<Answer>(question: Question): Promise<Answer> {
    const asked = Promise.withResolvers<unknown>()
    const id = this.#questions++
    this.#asked.set(id, asked)
    this.#child.send({ ...question, id }, (error) => error && asked.reject(error))
    return asked.promise as Promise<Answer>
  }

  #gone(): void {
    this.#isReady = false
    for (const { reject } of this.#asked.values()) reject(new Error('the worker is gone'))
    this.#asked.clear()
  }
}
