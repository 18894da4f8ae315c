import { randomUUIDv7 } from 'node:crypto'

type IdKind = 'conv' | 'turn' | 'msg' | 'run' | 'req' | 'rep' | 'roll' | 'shadow' | 'copy' | 'audit' | 'alert' | 'key'

/** A new id: its kind and 32 hexadecimal digits of a UUIDv7, so ids of one kind sort by their time of making. */
export function newId(kind: IdKind): string {
  return `${kind}_${randomUUIDv7().replaceAll('-', '')}`
}
