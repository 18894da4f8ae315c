import { setTimeout as pass } from 'node:timers/promises'
import type { RunWorkerOptions } from './run-worker.ts'
import { RunWorkerProcess } from './run-worker-process.ts'

const AGAIN_MS = 10

/** Some workers; whoever is killed is followed by another. */
export class RunCrew implements AsyncDisposable {
  readonly #options: RunWorkerOptions
  readonly #random: () => number
  readonly #workers: RunWorkerProcess[]
  #isGone = false

  constructor(options: RunWorkerOptions, size: number, random: () => number) {
    this.#options = options
    this.#random = random
    this.#workers = Array.from({ length: size }, () => new RunWorkerProcess(options))
  }

  async ready(): Promise<void> {
    await Promise.all(this.#workers.map(({ ready }) => ready))
  }

  async killOne(): Promise<void> {
    const place = Math.floor(this.#random() * this.#workers.length)
    await this.#workers[place]?.kill()
    this.#workers[place] = new RunWorkerProcess(this.#options)
  }

  /** Asks any that is ready, and another where that one dies or cannot answer, until there is an answer, or no crew. */
  async ask<Answer>(question: (worker: RunWorkerProcess) => Promise<Answer>): Promise<Answer> {
    while (!this.#isGone) {
      const ready = this.#workers.filter(({ isReady }) => isReady)
      const chosen = ready[Math.floor(this.#random() * ready.length)]
      try {
        if (chosen) return await question(chosen)
      } catch {
        // It was killed, or what it stands on is away.
      }
      await pass(AGAIN_MS)
    }
    throw new Error('the crew is gone')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isGone = true
    await Promise.all(this.#workers.map((worker) => worker.kill()))
  }
}
