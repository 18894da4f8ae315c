import type { Connection } from 'pg'

/** Texts made at run time would fill the memory of the server; what comes after these is parsed each time. */
const most = 200

/**
 * What the server of a connection has parsed already, under which names: a statement that comes again is a third to a half
 * cheaper. A name counts once its exchange has succeeded; of one that failed nobody knows how far it came, so its names are
 * closed by the next.
 */
export class Prepared {
  static readonly #all = new WeakMap<Connection, Prepared>()

  readonly #names = new Map<string, string>()
  #fresh = new Map<string, string>()
  #doubtful: string[] = []
  #made = 0

  static of(connection: Connection): Prepared {
    let prepared = Prepared.#all.get(connection)
    if (!prepared) {
      prepared = new Prepared()
      Prepared.#all.set(connection, prepared)
    }
    return prepared
  }

  /** Sends what is missing before the statement can be bound to its values, by the name that it returns. */
  prepare(connection: Connection, text: string): string {
    for (const name of this.#doubtful) connection.close({ type: 'S', name }, true)
    this.#doubtful = []
    const known = this.#names.get(text) ?? this.#fresh.get(text)
    if (known !== undefined) return known
    const name = this.#names.size + this.#fresh.size < most ? `p${this.#made++}` : ''
    connection.parse({ name, text, types: [] }, true)
    if (name !== '') this.#fresh.set(text, name)
    return name
  }

  succeeded(): void {
    for (const [text, name] of this.#fresh) this.#names.set(text, name)
    if (this.#fresh.size > 0) this.#fresh = new Map()
  }

  failed(): void {
    this.#doubtful.push(...this.#fresh.values())
    this.#fresh = new Map()
  }
}
