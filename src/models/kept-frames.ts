/** The frames of a read that are passed on: the read itself or a part of it, and a copy only where something is left out. */
export class KeptFrames {
  readonly #read: Buffer
  #parts: Buffer[] | undefined
  #start = 0
  #end = 0

  constructor(read: Buffer) {
    this.#read = read
  }

  add(start: number, end: number): void {
    if (start !== this.#end) {
      if (this.#end > this.#start) {
        this.#parts ??= []
        this.#parts.push(this.#read.subarray(this.#start, this.#end))
      }
      this.#start = start
    }
    this.#end = end
  }

  bytes(): Buffer | undefined {
    if (this.#end === 0) return undefined
    if (this.#start === 0 && this.#end === this.#read.length) return this.#read
    const last = this.#read.subarray(this.#start, this.#end)
    return this.#parts ? Buffer.concat([...this.#parts, last]) : last
  }
}
