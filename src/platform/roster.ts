/**
 * Who is there, where members come and go with every request. A `Set` would do but for the garbage collector: it replaces its
 * table again and again, and each table that has got old keeps those that were in it, and with them the tables after it, until
 * the next major collection. Adding, leaving: O(1). Those that leave while it is iterated are left out; those that come may be met.
 */
export class Roster<Member extends object> implements Iterable<Member> {
  readonly #places: (Member | undefined)[] = []
  readonly #free: number[] = []

  get size(): number {
    return this.#places.length - this.#free.length
  }

  /** Returns how to leave: true the first time. */
  add(member: Member): () => boolean {
    const place = this.#free.pop() ?? this.#places.length
    this.#places[place] = member
    let isHere = true
    return () => {
      if (!isHere) return false
      isHere = false
      this.#places[place] = undefined
      this.#free.push(place)
      return true
    }
  }

  *[Symbol.iterator](): Generator<Member> {
    for (const member of this.#places) if (member !== undefined) yield member
  }
}
