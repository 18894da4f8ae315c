import { setTimeout as pass } from 'node:timers/promises'

/** A conversation of one turn. Times are of `performance.now()`. */
export interface Talk {
  id: string
  /** The version that it was assigned to. */
  version: string
  /** Before its creation was asked for, and when its turn was answered. */
  begunAt: number
  endedAt: number
  /** `cut`: the replica went away meanwhile. */
  outcome: 'answered' | 'failed' | 'cut'
}

/** Conversations at once, beyond which the crowd waits: on a slow machine it is slower, and nothing else. */
const AT_ONCE = 40
const JSON_HEADERS = { 'content-type': 'application/json' }

/** People who begin conversations at a steady rate, round the replicas, and say one thing each. */
export class Crowd implements AsyncDisposable {
  readonly talks: Talk[] = []
  readonly #urls: () => readonly string[]
  readonly #perSecond: number
  readonly #leaving = new AbortController()
  readonly #talking = new Set<Promise<void>>()
  #begun = 0
  readonly #ended: Promise<void>

  constructor(urls: () => readonly string[], perSecond: number) {
    this.#urls = urls
    this.#perSecond = perSecond
    this.#ended = this.#come()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#leaving.abort()
    await this.#ended
    await Promise.all(this.#talking)
  }

  async #come(): Promise<void> {
    const everyMs = 1000 / this.#perSecond
    const { signal } = this.#leaving
    for (let next = performance.now(); !signal.aborted; next = Math.max(next + everyMs, performance.now())) {
      if (this.#talking.size < AT_ONCE) this.#begin()
      await pass(Math.max(0, next + everyMs - performance.now()), undefined, { signal }).catch(() => {})
    }
  }

  #begin(): void {
    const urls = this.#urls()
    const url = urls[this.#begun++ % urls.length]
    if (url === undefined) return
    const talk = this.#talk(url).finally(() => this.#talking.delete(talk))
    this.#talking.add(talk)
  }

  async #talk(url: string): Promise<void> {
    const begunAt = performance.now()
    let known = { id: '', version: '' }
    const end = (outcome: Talk['outcome']) =>
      this.talks.push({ ...known, begunAt, endedAt: performance.now(), outcome })
    try {
      const body = JSON.stringify({ specialist: 'apollo' })
      const begun = await fetch(`${url}/api/v1/conversations`, { method: 'POST', headers: JSON_HEADERS, body })
      const { id } = (await begun.json()) as { id: string }
      known = { id, version: begun.headers.get('x-parley-config') ?? '' }
      end((await say(url, id, 'What happened last night?')).ok ? 'answered' : 'failed')
    } catch {
      end('cut')
    }
  }
}

/** One turn: whether it was answered, and by which version. */
export async function say(url: string, conversation: string, message: string) {
  const response = await fetch(`${url}/api/v1/conversations/${conversation}/turns`, {
    method: 'POST',
    headers: JSON_HEADERS,
    body: JSON.stringify({ message }),
  })
  await response.arrayBuffer()
  return { ok: response.ok, version: response.headers.get('x-parley-config') }
}
