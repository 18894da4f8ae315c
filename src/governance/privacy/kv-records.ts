import { hash } from 'node:crypto'
import { ParleyError } from '#errors.ts'
import { type Key, type Kv, key } from '#platform/kv/kv.ts'
import type { RecordPlace, Records } from './records.ts'

const TRIES = 20

type Due = RecordPlace & { due: number }

/** One list names all that is due: there are hardly ever any, and one process that changes it. */
export function createKvRecords(kv: Kv): Records {
  const listed = key('person-records', 'due')

  async function changeDue(change: (due: Due[]) => Due[]): Promise<void> {
    for (let tries = 0; tries < TRIES; tries++) {
      const found = await kv.get(listed)
      const due: Due[] = found ? JSON.parse(found.value.toString()) : []
      const next = change(due)
      if (next.length === 0 && due.length === 0) return
      const written = await kv.put(listed, Buffer.from(JSON.stringify(next)), { ifVersion: found?.version ?? 0 })
      if (written !== undefined) return
    }
    throw new ParleyError('version_conflict')
  }

  return {
    async read(at) {
      const found = await kv.get(placeOf(at))
      return found && { body: JSON.parse(found.value.toString()), version: found.version }
    },
    async write({ tenant, person, name }, body, ifVersion, due) {
      const at = { tenant, person, name }
      const without = (listed: Due[]) => listed.filter((other) => !isSame(other, at))
      // Listed first and taken off last: a crash in between leaves one that is looked after for nothing.
      if (due !== undefined) await changeDue((listed) => [...without(listed), { ...at, due }])
      const written = await kv.put(placeOf(at), Buffer.from(JSON.stringify(body)), { ifVersion })
      if (written !== undefined && due === undefined) await changeDue(without)
      return written !== undefined
    },
    remove: (at) => kv.delete(placeOf(at)),
    async due(name, now) {
      const found = await kv.get(listed)
      const all: Due[] = found ? JSON.parse(found.value.toString()) : []
      return all.filter((one) => one.name === name && one.due <= now)
    },
  }
}

function isSame(one: RecordPlace, other: RecordPlace): boolean {
  return placeOf(one) === placeOf(other)
}

/** Not in the person's own partition, of which nothing is left once it was erased. */
function placeOf({ tenant, person, name }: RecordPlace): Key {
  return key(`person-${hash('sha256', `${tenant}\n${person}`, 'base64url').slice(0, 22)}`, name)
}
