import { ParleyError } from '#errors.ts'
import type { Owner } from '#identity/principal.ts'
import type { Sql } from '#platform/sql/sql.ts'
import type { Archive, ArchivedConversation } from '../archive.ts'
import { keyIdOf } from '../data-keys/key-id.ts'
import { createKeySafe } from '../data-keys/key-safe.ts'
import { dataKeyOf, unwrap } from '../data-keys/wrapping.ts'
import { type MasterKeysOptions, openMasterKeys } from '../master-keys.ts'
import type { WrappedKey } from '../store/data-key.ts'
import { createSeal, type Seal } from '../vault.ts'
import {
  forgetConversation,
  judgeTurn,
  keepTurn,
  pruneTurns,
  readConversations,
  readEntries,
  readTurn,
  withdrawTurn,
} from './statements.ts'

export interface ArchiveOptions extends MasterKeysOptions {
  /** With the migrations of `turns-migration.ts` and `dataKeysMigration`. */
  sql: Sql
}

/** A page ends early once it holds as much. */
const PAGE_BYTES = 4 * 1024 * 1024

/** Throws environment_invalid when there are no master keys to be had. */
export async function createArchive({ sql, ...options }: ArchiveOptions): Promise<Archive> {
  const masterKeys = await openMasterKeys(options)

  function opened(owner: Owner, { wrapped, master }: KeyRow): Seal {
    if (wrapped === null || master === null) throw new ParleyError('erased')
    return createSeal(unwrap(masterKeys, { wrapped, master }, dataKeyOf(owner)))
  }

  return {
    keys: createKeySafe(sql),

    async keep(turn, seal) {
      const { id, owner, entry, fence, status, endedAt, input, outcome, feedback = null } = turn
      const { conversation = null, position = null, messages = null, count = null } = entry ?? {}
      const {
        specialist = null,
        config = null,
        arm = null,
        cohort = null,
        startedAt = null,
        title = null,
      } = entry ?? {}
      const whose = [owner.tenant, owner.id, keyIdOf(seal)]
      const what = [id, conversation, position, fence, status, endedAt, input, outcome, messages]
      const how = [count, specialist, config, arm, cohort, startedAt, title, feedback]
      await sql.query({ tenant: owner.tenant }, keepTurn, [...whose, ...what, ...how])
    },

    async judge(owner, turn, feedback, seal) {
      const params = [owner.tenant, owner.id, keyIdOf(seal), turn, feedback]
      const [row] = await sql.query<TurnRow>({ tenant: owner.tenant }, judgeTurn, params)
      return row && { input: row.input, outcome: row.outcome, feedback, seal }
    },

    async withdraw(owner, turn, fence) {
      await sql.query({ tenant: owner.tenant }, withdrawTurn, [owner.tenant, owner.id, turn, fence])
    },

    async turn(owner, turn) {
      const params = [owner.tenant, owner.id, turn]
      const [row] = await sql.query<KeyRow & TurnRow>({ tenant: owner.tenant }, readTurn, params)
      if (!row) return undefined
      const { input, outcome, feedback } = row
      return { input, outcome, feedback: feedback ?? undefined, seal: opened(owner, row) }
    },

    async messages(owner, conversation, after, limit) {
      type Row = KeyRow & { position: number; body: Buffer | null; key: string; more: boolean }
      const params = [owner.tenant, owner.id, conversation, after, limit, PAGE_BYTES]
      const rows = await sql.query<Row>({ tenant: owner.tenant }, readEntries, params)
      if (rows.length === 0) return undefined
      const seals = new Map<string, Seal>()
      const entries = rows.flatMap((row) =>
        row.body === null
          ? []
          : [
              {
                position: row.position,
                body: row.body,
                seal: seals.getOrInsertComputed(row.key, () => opened(owner, row)),
              },
            ],
      )
      const last = entries.at(-1)
      return { entries, next: last && rows.at(-1)?.more ? last.position : null }
    },

    conversations: (owner, seal, ids) =>
      sql.query<ArchivedConversation>({ tenant: owner.tenant }, readConversations, [
        owner.tenant,
        owner.id,
        keyIdOf(seal),
        ids ?? null,
      ]),

    async forget(owner, conversation) {
      const params = [owner.tenant, owner.id, conversation]
      const [row] = await sql.query<{ count: number }>({ tenant: owner.tenant }, forgetConversation, params)
      return row?.count ?? 0
    },

    async prune(before) {
      const [row] = await sql.query<{ count: number }>('system', pruneTurns, [before])
      return row?.count ?? 0
    },
  }
}

interface TurnRow {
  input: Buffer
  outcome: Buffer
  feedback: Buffer | null
}

type KeyRow = { [Field in keyof WrappedKey]: WrappedKey[Field] | null }
