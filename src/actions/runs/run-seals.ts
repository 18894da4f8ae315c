import type { Seal } from '#conversations/vault.ts'
import { opening } from '#identity/owners-seal.ts'
import type { Owner, Principal } from '#identity/principal.ts'
import type { RunRow } from './run-row.ts'

/** What a run was asked with: all that a worker needs to do it. */
export interface RunInput {
  principal: Principal
  arguments: Readonly<Record<string, unknown>>
}

/** What came of it. `output` is JSON text where it succeeded, else a sentence. */
export interface RunOutcome {
  output: string
}

/** Seals and reads what a run keeps of its owner's words; bound to the run and to the column. */
export class RunSeals {
  readonly #sealOf: (owner: Owner) => Promise<Seal>

  constructor(sealOf: (owner: Owner) => Promise<Seal>) {
    this.#sealOf = sealOf
  }

  async seal(owner: Owner, run: string, column: 'input' | 'outcome' | 'preview', value: unknown): Promise<Buffer> {
    const seal = await this.#sealOf(owner)
    return seal.seal(JSON.stringify(value), `run:${run}@${column}`)
  }

  input(row: RunRow): Promise<RunInput> {
    return this.#read(row, 'input', row.input)
  }

  async outcome(row: RunRow): Promise<string | undefined> {
    if (!row.outcome) return undefined
    const { output } = await this.#read<RunOutcome>(row, 'outcome', row.outcome)
    return output
  }

  async preview(row: RunRow): Promise<unknown> {
    return row.preview ? this.#read(row, 'preview', row.preview) : null
  }

  async #read<Value>({ id, tenant, owner }: RunRow, column: string, sealed: Buffer): Promise<Value> {
    const seal = await this.#sealOf({ tenant, id: owner })
    return opening(seal, (each) => JSON.parse(each.unseal(sealed, `run:${id}@${column}`).toString()))
  }
}
