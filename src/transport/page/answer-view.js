import { approvalForm } from './approval-form.js'

/**
 * One answer on the page: stretches of text, and between them what happened, folded from the events of its turn. All of it
 * is set as text, never as markup.
 */
export class AnswerView {
  #article
  #parts = []
  /** The parts as they were at the last event with an id, while something provisional follows it. */
  #settled
  #onSettled

  /** `onSettled` is called with a run that was decided on here, once it is settled. */
  constructor(parent, onSettled = () => {}) {
    this.#onSettled = onSettled
    this.#article = parent.appendChild(document.createElement('article'))
    this.#article.className = 'assistant'
  }

  apply({ id, type, data }) {
    if (id === undefined) this.#settled ??= this.#parts.map((part) => ({ ...part }))
    this.#effects[type]?.(data)
    if (id !== undefined) this.#settled = undefined
  }

  /** A new connection sends again what came without an id. */
  forgetProvisional() {
    if (this.#settled) this.#show(this.#settled)
    this.#settled = undefined
  }

  say(text) {
    const last = this.#parts.at(-1)
    if (last?.kind !== 'text') return this.#add({ kind: 'text', text })
    last.text += text
    this.#article.lastChild.appendData(text)
  }

  aside(text) {
    this.#add({ kind: 'aside', text })
  }

  call(key, action, given) {
    this.#add({ kind: 'call', text: `${action} ${brief(given)}`, key })
  }

  /** How a call stands, and what came of it. */
  settle(key, status, output) {
    const state = output === undefined ? ` · ${status}` : ` · ${status}: ${brief(output)}`
    const open = this.#parts.filter((part) => part.hash === undefined || part.key !== key)
    const parts = status === 'awaiting-approval' ? this.#parts : open
    const settled = output !== undefined
    this.#show(parts.map((part) => (part.key === key ? { ...part, state, settled } : part)))
  }

  /** Whether something here waits to be approved. */
  get waits() {
    return this.#parts.some(({ kind }) => kind === 'approval')
  }

  /** Asks for the approval of a call's run, again when its arguments are others. */
  ask(key, run, hash) {
    if (this.#parts.some((part) => part.key === key && part.hash === hash)) return
    const decided = (now) => {
      // The turn goes on, and told it first.
      if (this.#parts.some((part) => part.key === key && part.settled)) return
      const { status, result, message, settledAt } = now
      this.settle(key, status, settledAt === null ? undefined : (message ?? JSON.stringify(result)))
      if (settledAt !== null) this.#onSettled(now)
    }
    this.#show(this.#parts.filter((part) => part.key !== key || part.hash === undefined))
    this.#add({ kind: 'approval', key, hash, node: approvalForm(run, decided) })
  }

  /** Why there is no more of it, with a way to try again. */
  fault(text, retry) {
    const line = nodeOf({ kind: 'fault', text: `${text} ` })
    const button = line.appendChild(document.createElement('button'))
    button.type = 'button'
    button.textContent = 'Retry'
    button.addEventListener('click', () => {
      line.remove()
      retry()
    })
    this.#article.append(line)
  }

  remove() {
    this.#article.remove()
  }

  #effects = {
    token: ({ text }) => this.say(text),
    snapshot: ({ text }) => this.#show([{ kind: 'text', text }]),
    segment: ({ model, reason, reset }) => {
      const step = this.#parts.findLastIndex(({ kind }) => kind === 'call')
      if (reset) this.#show(this.#parts.filter(({ kind }, at) => kind !== 'text' || at < step))
      this.aside(`${reset ? 'Started over' : 'Continued'} by ${model} (${reason.replaceAll('_', ' ')})`)
    },
    call: ({ step, index, action, arguments: given }) => this.call(`${step}/${index}`, action, given),
    run: ({ id, step, index, status, output, approval }) => {
      this.settle(`${step}/${index}`, status, output)
      if (approval) this.ask(`${step}/${index}`, id, approval.hash)
    },
    notice: ({ message }) => this.aside(message),
    'turn.completed': ({ finish }) => {
      if (finish === 'length') this.aside('The model reached its greatest length.')
    },
    'turn.cancelled': () => this.aside('Stopped.'),
  }

  #add(part) {
    this.#parts.push(part)
    this.#article.append(nodeOf(part))
  }

  #show(parts) {
    this.#parts = parts
    this.#article.replaceChildren(...parts.map(nodeOf))
  }
}

function nodeOf({ kind, text, state = '', node }) {
  if (node) return node
  if (kind === 'text') return document.createTextNode(text)
  const line = document.createElement('p')
  line.className = `aside ${kind}`
  line.textContent = text + state
  return line
}

function brief(text) {
  return text.length > 160 ? `${text.slice(0, 160)}…` : text
}
