import type { Reply } from '#platform/kv/kv.ts'
import type { ProgramStep } from './program.ts'

/** Each goes on from where the one before it left the three keys: 0 a record, 1 a log, 2 an index. */
export const samples: { name: string; run: ProgramStep[]; values?: Buffer[]; reply: Reply }[] = [
  {
    name: 'nothing is there',
    run: [
      ...[0, 1, 2].flatMap((at): ProgramStep[] => [
        { do: 'exists', key: at },
        { do: 'delete', key: at },
      ]),
      { do: 'persist', key: 0 },
      { do: 'expire', key: 0, ttlMs: 1000 },
      { do: 'get', key: 0, field: 'f' },
      { do: 'unset', key: 0, field: 'f' },
      { do: 'top', key: 1 },
      { do: 'read', key: 1, after: -1, limit: 5 },
      { do: 'remove', key: 2, member: 'm' },
      { do: 'count', key: 2 },
      { do: 'below', key: 2, maxScore: 5, limit: 5 },
      { do: 'highest', key: 2, below: null, limit: 5 },
    ],
    reply: [0, 0, 0, 0, 0, 0, null, -1, 0, 0],
  },
  {
    name: 'a record',
    run: [
      { do: 'set', key: 0, field: 'f', value: 0 },
      { do: 'set', key: 0, field: 'empty', value: 1 },
      { do: 'increment', key: 0, field: 'n', by: 5 },
      { do: 'increment', key: 0, field: 'n', by: -7 },
      { do: 'get', key: 0, field: 'f' },
      { do: 'get', key: 0, field: 'empty' },
      { do: 'get', key: 0, field: 'n' },
      { do: 'get', key: 0, field: 'none' },
      { do: 'set', key: 0, field: 'f', value: 1 },
      { do: 'get', key: 0, field: 'f' },
      { do: 'exists', key: 0 },
    ],
    values: [Buffer.from([0, 255]), Buffer.alloc(0)],
    reply: [5, -2, Buffer.from([0, 255]), Buffer.alloc(0), Buffer.from('-2'), null, Buffer.alloc(0), 1],
  },
  {
    name: 'a record without fields is gone, and its expiry with it',
    run: [
      { do: 'expire', key: 0, ttlMs: 60_000 },
      { do: 'unset', key: 0, field: 'f' },
      { do: 'unset', key: 0, field: 'empty' },
      { do: 'exists', key: 0 },
      { do: 'unset', key: 0, field: 'n' },
      { do: 'exists', key: 0 },
      { do: 'increment', key: 0, field: 'n', by: 1 },
      { do: 'delete', key: 0 },
    ],
    reply: [1, 0, 1, 1],
  },
  {
    name: 'a log',
    run: [
      { do: 'append', key: 1, position: 0, value: 0 },
      { do: 'top', key: 1 },
      { do: 'append', key: 1, position: 0, value: 1 },
      { do: 'append', key: 1, position: 9, value: 1 },
      { do: 'append', key: 1, position: 8, value: 0 },
      { do: 'top', key: 1 },
      { do: 'read', key: 1, after: -1, limit: 1 },
      { do: 'read', key: 1, after: 0, limit: 9 },
      { do: 'read', key: 1, after: 9, limit: 9 },
    ],
    values: [Buffer.from('zero'), Buffer.from('nine')],
    reply: [1, 0, 0, 1, 0, 9, 0, Buffer.from('zero'), 9, Buffer.from('nine')],
  },
  {
    name: 'an index',
    run: [
      { do: 'add', key: 2, member: 'b', score: 10 },
      { do: 'add', key: 2, member: 'a', score: 10 },
      { do: 'add', key: 2, member: 'z', score: -3 },
      { do: 'add', key: 2, member: 'm', score: 1_700_000_000_000 },
      { do: 'count', key: 2 },
      { do: 'below', key: 2, maxScore: 10, limit: 9 },
      { do: 'below', key: 2, maxScore: 9, limit: 9 },
      { do: 'below', key: 2, maxScore: 10, limit: 2 },
      { do: 'highest', key: 2, below: null, limit: 3 },
      { do: 'highest', key: 2, below: 10, limit: 3 },
      { do: 'highest', key: 2, below: 1_700_000_000_000, limit: 1 },
      { do: 'add', key: 2, member: 'z', score: 11 },
      { do: 'highest', key: 2, below: 12, limit: 1 },
      { do: 'remove', key: 2, member: 'z' },
      { do: 'remove', key: 2, member: 'z' },
      { do: 'count', key: 2 },
    ],
    reply: [
      4,
      ...texts('z', -3, 'a', 10, 'b', 10),
      ...texts('z', -3),
      ...texts('z', -3, 'a', 10),
      ...texts('m', 1_700_000_000_000, 'b', 10, 'a', 10),
      ...texts('z', -3),
      ...texts('b', 10),
      ...texts('z', 11),
      1,
      0,
      3,
    ],
  },
  {
    name: 'an index without members is gone',
    run: [
      ...['a', 'b', 'm'].map((member): ProgramStep => ({ do: 'remove', key: 2, member })),
      { do: 'exists', key: 2 },
      { do: 'delete', key: 1 },
      { do: 'top', key: 1 },
    ],
    reply: [1, 1, 1, 0, 1, -1],
  },
]

function texts(...values: (string | number)[]): Buffer[] {
  return values.map((value) => Buffer.from(String(value)))
}
