const SMALLEST = 256

/** Bytes put one after another into one buffer, which doubles when it is full. */
export class GrowingBytes {
  length = 0
  #buffer: Buffer | undefined

  append(source: Buffer, start: number, end: number): void {
    const into = this.#room(end - start)
    // Most of what is appended is a few bytes, for which a loop is faster than a copy.
    if (end - start > 32) source.copy(into, this.length, start, end)
    else for (let from = start, to = this.length; from < end; ) into[to++] = source[from++] ?? 0
    this.length += end - start
  }

  /** The bytes so far, valid until the next change. */
  view(): Buffer {
    return this.#buffer?.subarray(0, this.length) ?? Buffer.alloc(0)
  }

  /** Hands the bytes over and starts anew. */
  take(): Buffer {
    const taken = this.view()
    this.#buffer = undefined
    this.length = 0
    return taken
  }

  /** Forgets the bytes, keeps the room. */
  clear(): void {
    this.length = 0
  }

  text(): string {
    return this.#buffer?.toString('utf8', 0, this.length) ?? ''
  }

  #room(bytes: number): Buffer {
    const needed = this.length + bytes
    if (this.#buffer && needed <= this.#buffer.length) return this.#buffer
    const grown = Buffer.allocUnsafe(Math.max(SMALLEST, needed, (this.#buffer?.length ?? 0) * 2))
    this.#buffer?.copy(grown, 0, 0, this.length)
    this.#buffer = grown
    return grown
  }
}
