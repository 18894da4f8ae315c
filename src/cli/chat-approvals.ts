import { setTimeout as wait } from 'node:timers/promises'
import type { RunView } from '#actions/actions.ts'
import type { TurnEvents } from '#chat/turn-events.ts'
import { PATIENCE } from './chat-stream.ts'
import type { ChatView } from './chat-view.ts'
import type { Asked, Client } from './client.ts'
import type { Host, Person } from './command.ts'
import { Refused } from './faults.ts'
import { instant } from './layout.ts'
import { brief, plainText } from './plain-text.ts'

type RunEvent = TurnEvents['run']

export interface ApprovalsDeps {
  client: Client
  host: Pick<Host, 'err' | 'person'>
  view: ChatView
  /** Withdraws every question. */
  signal: AbortSignal
  /** When it is looked whether more is known of what is asked about. */
  lookMs?: readonly number[]
  /** Between tries to reach the process. */
  retryMs?: readonly number[]
}

interface Question {
  withdrawn: AbortController
  /** Has what it is about looked at anew, and asked once more. */
  again: AbortController
}

/** A target may take a moment to say what would happen. */
const LOOK_MS = [1000, 3000, 8000]

/** Asks whoever sits at the terminal about runs that wait for approval, one after the other, while their turn goes on. */
export class Approvals {
  readonly #deps: ApprovalsDeps
  /** The runs that are asked about, or are to be. */
  readonly #open = new Map<string, Question>()
  /** Decided here, maybe by an answer that was lost, and nothing heard of what came of it. */
  readonly #decided = new Set<string>()
  #asked: Promise<void> = Promise.resolve()

  constructor(deps: ApprovalsDeps) {
    this.#deps = deps
  }

  /** What the turn tells of a run. */
  hear({ id, action, status, output, approval }: RunEvent): void {
    if (output !== undefined) this.#decided.delete(id)
    const open = this.#open.get(id)
    if (status !== 'awaiting-approval') {
      open?.withdrawn.abort()
      this.#open.delete(id)
      return
    }
    // It was edited.
    if (open) return open.again.abort()
    const { host, view } = this.#deps
    const { person } = host
    if (!person) return view.aside(`${action} waits for approval, by ${approval?.roles.join(' or ')}: ${id}`)
    const question = { withdrawn: new AbortController(), again: new AbortController() }
    const signal = AbortSignal.any([question.withdrawn.signal, this.#deps.signal])
    this.#open.set(id, question)
    this.#asked = this.#asked
      .then(() => this.#ask(id, person, question, signal))
      .catch((error) => {
        if (signal.aborted) return
        if (!(error instanceof Refused)) throw error
        view.aside(error.message)
      })
      .finally(() => {
        if (this.#open.get(id) === question) this.#open.delete(id)
      })
    // Whoever waits for it hears of it; until then it is no unhandled rejection.
    this.#asked.catch(() => {})
  }

  /** Once every question is answered or withdrawn: what came of the runs that were decided on here after their turn. */
  async rest(): Promise<RunView[]> {
    // What was written since may have driven them up.
    for (const { again } of this.#open.values()) again.abort()
    await this.#asked
    const { signal, view } = this.#deps
    const settled: RunView[] = []
    for (const id of this.#decided) {
      if (signal.aborted) break
      const headers = { accept: 'application/json' }
      const body = await this.#reach<RunView>(signal, 'GET', `/api/v1/runs/${id}/stream`, { headers })
      view.aside(`< ${body.action} ${body.status}: ${brief(body.message ?? JSON.stringify(body.result))}`)
      if (body.settledAt !== null) settled.push(body)
    }
    return settled
  }

  withdraw(): void {
    for (const { withdrawn } of this.#open.values()) withdrawn.abort()
  }

  async #ask(id: string, person: Person, question: Question, signal: AbortSignal): Promise<void> {
    const { view } = this.#deps
    const path = `/api/v1/runs/${id}`
    let shown: string | undefined
    while (!signal.aborted) {
      question.again = new AbortController()
      const run = await this.#reach<RunView>(signal, 'GET', path)
      if (run.status !== 'awaiting-approval' || !run.approval) return
      this.#decided.delete(id)
      if (shown !== contentOf(run)) {
        if (!(await this.#mayDecide(id, signal))) {
          return view.aside(`${run.action} waits for approval, by ${run.approval.roles.join(' or ')}: ${id}`)
        }
        this.#show(run, run.approval)
        shown = contentOf(run)
      }
      const decision = await this.#decision(person, run, question.again, signal)
      if (signal.aborted) return
      if (decision === 'again') continue
      if (!decision) return view.aside(`Nothing is decided: ${id} goes on waiting.`)
      try {
        this.#decided.add(id)
        await this.#reach(signal, 'POST', `${path}/${decision.verb}`, { body: decision.body })
        return
      } catch (error) {
        if (signal.aborted) return
        const isOutdated = error instanceof Refused && ['approval_changed', 'run_state'].includes(error.code)
        if (!isOutdated) {
          this.#decided.delete(id)
          throw error
        }
        view.aside(error.message)
      }
    }
  }

  #show({ action, arguments: given }: RunView, { expiresAt, preview }: NonNullable<RunView['approval']>): void {
    const { host, view } = this.#deps
    view.aside(`${action} waits for approval until ${instant(expiresAt)}:`)
    host.err(`${plainText(JSON.stringify(given, null, 2))}\n`)
    if (preview !== null) view.aside(`It would do: ${JSON.stringify(preview, null, 2)}`)
  }

  async #decision(person: Person, run: RunView, again: AbortController, signal: AbortSignal) {
    const { action, argumentsHash: hash } = run
    using answered = untilDisposed()
    void this.#lookForPreview(run, again, AbortSignal.any([signal, again.signal, answered.signal]))
    for (;;) {
      this.#deps.view.asking(true)
      const said = await person.confirm(`Approve ${action}? [y/n] `, AbortSignal.any([signal, again.signal]))
      this.#deps.view.asking(false)
      if (said === undefined) return again.signal.aborted && !signal.aborted ? 'again' : undefined
      if (/^y(es)?$/i.test(said.trim())) return { verb: 'approve', body: { hash } }
      if (!/^no?$/i.test(said.trim())) continue
      const reason = await person.ask('Why not? ', signal)
      return { verb: 'reject', body: { reason: reason?.trim().slice(0, 500) || 'No reason was given.' } }
    }
  }

  /** What a run would do may be known only once it is asked about. */
  async #lookForPreview(run: RunView, again: AbortController, signal: AbortSignal): Promise<void> {
    if (run.approval?.preview !== null) return
    const { client, lookMs = LOOK_MS } = this.#deps
    for (const ms of lookMs) {
      await wait(ms, undefined, { signal }).catch(() => {})
      if (signal.aborted) return
      const looked = await client.ask<RunView>('GET', `/api/v1/runs/${run.id}`, { signal }).catch(() => undefined)
      if (looked && contentOf(looked.body) !== contentOf(run)) return again.abort()
    }
  }

  async #mayDecide(id: string, signal: AbortSignal): Promise<boolean> {
    const path = '/api/v1/runs?whose=to-approve&limit=100'
    const { items } = await this.#reach<{ items: RunView[] }>(signal, 'GET', path)
    return items.some((run) => run.id === id)
  }

  /** As long as a lost line is asked for again; that a decision may arrive twice does no harm. */
  async #reach<Body>(signal: AbortSignal, method: string, path: string, asked?: Asked): Promise<Body> {
    const { client, view, retryMs = PATIENCE.retryMs } = this.#deps
    for (let tries = 0; ; tries += 1) {
      try {
        return (await client.ask<Body>(method, path, asked)).body
      } catch (error) {
        const pause = retryMs[tries]
        if (signal.aborted || !(error instanceof Refused && error.isPassing) || pause === undefined) throw error
        if (tries === 0) view.aside(`${error.message} It is tried again.`)
        await wait(pause, undefined, { signal })
      }
    }
  }
}

/** What is decided on. */
function contentOf({ status, arguments: given, approval }: RunView): string {
  return JSON.stringify([status, given, approval?.preview])
}

function untilDisposed() {
  const ended = new AbortController()
  return { signal: ended.signal, [Symbol.dispose]: () => ended.abort() }
}
