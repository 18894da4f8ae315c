/** One answer on the page: its text, and between it what happened. All of it is set as text, never as markup. */
export class AnswerView {
  #article
  /** The texts of the present step, in order; a reset empties them. */
  #texts = []
  /** Length of what came without an id at the end of the text, and may come again. */
  #provisional = 0

  constructor(parent) {
    this.#article = parent.appendChild(document.createElement('article'))
    this.#article.className = 'assistant'
    this.#beginText()
  }

  apply({ id, type, data }) {
    if (id !== undefined) this.#provisional = 0
    if (type === 'token') this.#say(data.text, id)
    else if (type === 'segment') this.#seam(data)
    else if (type === 'call') this.#call(data)
    else if (type === 'run' && data.output !== undefined) this.#aside(`${data.action} ${data.status}: ${data.output}`)
    else if (type === 'notice') this.#aside(data.message)
    else if (type === 'snapshot') this.#show(data.text)
    else if (type === 'turn.cancelled') this.#aside('Stopped.')
    else if (type === 'turn.failed') this.fault(`${data.error.message} (${data.error.code})`)
  }

  /** A new connection sends again what came without an id. */
  forgetProvisional() {
    const text = this.#texts.at(-1)
    text.deleteData(text.length - this.#provisional, this.#provisional)
    this.#provisional = 0
  }

  fault(text) {
    this.#aside(text).classList.add('fault')
  }

  #say(text, id) {
    this.#texts.at(-1).appendData(text)
    if (id === undefined) this.#provisional += text.length
  }

  #seam({ model, reason, reset }) {
    if (reset) for (const text of this.#texts) text.data = ''
    this.#aside(`${model} ${reset ? 'starts over' : 'continues'} (${reason.replaceAll('_', ' ')})`)
  }

  #call({ action, arguments: given }) {
    this.#texts = []
    this.#aside(`calls ${action} ${given}`)
  }

  #show(text) {
    this.#article.replaceChildren()
    this.#texts = []
    this.#beginText()
    this.#say(text, '')
  }

  #aside(text) {
    const line = document.createElement('p')
    line.className = 'aside'
    line.textContent = text
    this.#article.append(line)
    this.#beginText()
    return line
  }

  #beginText() {
    this.#texts.push(this.#article.appendChild(document.createTextNode('')))
  }
}
