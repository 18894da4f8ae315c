/**
 * What is kept about people that nobody is named in: they go by their partition. In PostgreSQL where there is one, else in the
 * live state, which is durable then. Every method rejects with database_unavailable or state_unavailable.
 */
export interface Records {
  read(at: RecordPlace): Promise<{ body: unknown; version: number } | undefined>
  /** False when the version is another by now (0: there must be none). `due`: ms, when somebody has to look after it. */
  write(at: RecordPlace, body: unknown, ifVersion: number, due?: number): Promise<boolean>
  /** Whether there was one. */
  remove(at: RecordPlace): Promise<boolean>
  /** What somebody has to look after by now. */
  due(name: string, now: number): Promise<RecordPlace[]>
}

export interface RecordPlace {
  tenant: string
  /** `partitionOf` a person. */
  person: string
  name: string
}
