import type { RunView } from '#actions/actions.ts'
import type { TurnEvents } from '#chat/turn-events.ts'
import type { ChatView } from './chat-view.ts'
import type { Client } from './client.ts'
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
}

/** Asks whoever sits at the terminal about runs that wait for approval, one after the other, while their turn goes on. */
export class Approvals {
  readonly #deps: ApprovalsDeps
  /** The runs that are asked about, or are to be. */
  readonly #open = new Map<string, AbortController>()
  /** Decided here, and nothing heard of what came of it. */
  readonly #decided = new Set<string>()
  #asked: Promise<void> = Promise.resolve()
  /** Has a question that what was written since has driven up asked once more. */
  #again = new AbortController()

  constructor(deps: ApprovalsDeps) {
    this.#deps = deps
  }

  /** What the turn tells of a run. */
  hear({ id, action, status, output, approval }: RunEvent): void {
    if (status !== 'awaiting-approval') this.#open.get(id)?.abort()
    if (output !== undefined) this.#decided.delete(id)
    if (status !== 'awaiting-approval' || this.#open.has(id)) return
    const { host, view } = this.#deps
    const { person } = host
    if (!person) return view.aside(`${action} waits for approval, by ${approval?.roles.join(' or ')}: ${id}`)
    const withdrawn = new AbortController()
    this.#open.set(id, withdrawn)
    this.#asked = this.#asked
      .then(() => this.#ask(id, person, AbortSignal.any([withdrawn.signal, this.#deps.signal])))
      .catch((error) => {
        if (!(error instanceof Refused)) throw error
        view.aside(error.message)
      })
      .finally(() => this.#open.delete(id))
    // Whoever waits for it hears of it; until then it is no unhandled rejection.
    this.#asked.catch(() => {})
  }

  /** Once every question is answered or withdrawn: what came of the runs that were decided on here after their turn. */
  async rest(): Promise<RunView[]> {
    this.#again.abort()
    this.#again = new AbortController()
    await this.#asked
    const { client, signal, view } = this.#deps
    const settled: RunView[] = []
    for (const id of this.#decided) {
      if (signal.aborted) break
      const headers = { accept: 'application/json' }
      const { body } = await client.ask<RunView>('GET', `/api/v1/runs/${id}/stream`, { headers, signal })
      view.aside(`< ${body.action} ${body.status}: ${brief(body.message ?? JSON.stringify(body.result))}`)
      if (body.settledAt !== null) settled.push(body)
    }
    return settled
  }

  withdraw(): void {
    for (const withdrawn of this.#open.values()) withdrawn.abort()
  }

  async #ask(id: string, person: Person, signal: AbortSignal): Promise<void> {
    const { client, host, view } = this.#deps
    while (!signal.aborted) {
      const path = `/api/v1/runs/${id}`
      const { body: run } = await client.ask<RunView>('GET', path)
      if (run.status !== 'awaiting-approval' || !run.approval) return
      if (!(await this.#mayDecide(id))) {
        return view.aside(`${run.action} waits for approval, by ${run.approval.roles.join(' or ')}: ${id}`)
      }
      view.aside(`${run.action} waits for approval until ${instant(run.approval.expiresAt)}:`)
      host.err(`${plainText(JSON.stringify(run.arguments, null, 2))}\n`)
      if (run.approval.preview !== null) view.aside(`It would do: ${JSON.stringify(run.approval.preview, null, 2)}`)
      const decision = await this.#decision(person, run, signal)
      if (signal.aborted) return
      if (!decision) return view.aside(`Nothing is decided: ${id} goes on waiting.`)
      try {
        this.#decided.add(id)
        await client.ask('POST', `${path}/${decision.verb}`, { body: decision.body })
        return
      } catch (error) {
        this.#decided.delete(id)
        if (!(error instanceof Refused) || !['approval_changed', 'run_state'].includes(error.code)) throw error
        view.aside(error.message)
      }
    }
  }

  async #decision(person: Person, { action, argumentsHash: hash }: RunView, signal: AbortSignal) {
    for (;;) {
      const again = this.#again.signal
      this.#deps.view.asking(true)
      const said = await person.ask(`Approve ${action}? [y/n] `, AbortSignal.any([signal, again]))
      this.#deps.view.asking(false)
      if (again.aborted && said === undefined && !signal.aborted) continue
      if (said === undefined) return undefined
      if (/^y(es)?$/i.test(said.trim())) return { verb: 'approve', body: { hash } }
      if (!/^no?$/i.test(said.trim())) continue
      const reason = await person.ask('Why not? ', signal)
      return { verb: 'reject', body: { reason: reason?.trim().slice(0, 500) || 'No reason was given.' } }
    }
  }

  async #mayDecide(id: string): Promise<boolean> {
    const { body } = await this.#deps.client.ask<{ items: RunView[] }>('GET', '/api/v1/runs?whose=to-approve&limit=100')
    return body.items.some((run) => run.id === id)
  }
}
