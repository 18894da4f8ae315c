import { type Principal, partitionOf } from '#identity/principal.ts'
import type { Clock } from '#platform/clock.ts'
import type { AuditEntry } from '../audit.ts'
import type { Exporter, Exports } from '../privacy.ts'

export interface ExportsOptions {
  exporters: readonly Exporter[]
  clock: Clock
  /** Resolves once it is kept: nothing leaves unseen. */
  record(entry: AuditEntry): Promise<void>
}

/** Part by part, item by item. */
export function createExports({ exporters, clock, record }: ExportsOptions): Exports {
  async function* written(person: Principal): AsyncGenerator<string> {
    const { tenant, id, name, kind } = person
    const head = JSON.stringify({ exportedAt: new Date(clock.now()).toISOString(), person: { tenant, id, name, kind } })
    yield head.slice(0, -1)
    for (const { part, items } of exporters) {
      yield `,${JSON.stringify(part)}:[`
      let separator = ''
      for await (const item of items(person)) {
        yield `${separator}${JSON.stringify(item)}`
        separator = ',\n'
      }
      yield ']'
    }
    yield '}'
  }

  return {
    async of(by, person) {
      const [actor, subject] = [partitionOf(by), partitionOf(person)]
      await record({ tenant: person.tenant, kind: 'data.exported', actor, subject })
      return written(person)
    },
  }
}
