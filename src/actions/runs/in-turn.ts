/** Of what concerns the same thing, one after the other, in the order in which it was asked for; what fails holds up nobody. */
export class InTurn {
  readonly #last = new Map<string, Promise<unknown>>()

  do<Result>(of: string, work: () => Promise<Result>): Promise<Result> {
    const done = (this.#last.get(of) ?? Promise.resolve()).then(work)
    const over = done.then(
      () => {},
      () => {},
    )
    this.#last.set(of, over)
    void over.then(() => {
      if (this.#last.get(of) === over) this.#last.delete(of)
    })
    return done
  }
}
