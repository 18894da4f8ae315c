const MAX_BYTES = 2000

/** The end of what a server says before it is ready to serve. Later it may say what was asked of it, which is nobody's business. */
export class LastWords {
  #heard = Buffer.alloc(0)
  #over = false

  hear(chunk: Buffer): void {
    if (!this.#over) this.#heard = Buffer.concat([this.#heard, chunk]).subarray(-MAX_BYTES)
  }

  /** What was heard; from now on nothing is. */
  end(): string {
    this.#over = true
    const text = this.#heard.toString()
    this.#heard = Buffer.alloc(0)
    return text
  }
}
