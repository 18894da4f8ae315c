import type { Actions } from '#actions/actions.ts'
import { exportRuns } from '#actions/export.ts'
import { eraseRuns } from '#actions/runs/erase.ts'
import type { Chat } from '#chat/chat.ts'
import { exportConversations } from '#chat/export.ts'
import { isTurnId } from '#chat/store/turn-keys.ts'
import { eraseTurns, turnsOf } from '#conversations/archive/of-person.ts'
import type { Conversations } from '#conversations/conversations.ts'
import type { AuditEntry } from '#governance/audit.ts'
import type { Ledger } from '#governance/ledger.ts'
import { namesInLiveState } from '#governance/privacy/live-state.ts'
import { openPrivacy, type Privacy } from '#governance/privacy/open.ts'
import type { Eraser, Exporter } from '#governance/privacy.ts'
import type { Keys } from '#identity/keys.ts'
import { type Owner, partitionOf } from '#identity/principal.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { Kv } from '#platform/kv/kv.ts'
import type { Sql } from '#platform/sql/sql.ts'

export interface PersonalDataOptions {
  kv: Kv
  sql: Sql
  /** PGlite is not opened to be asked what cannot be in it. */
  hasSql(): boolean
  conversations: Conversations
  actions: Pick<Actions, 'list' | 'get'>
  /** None on a replica that only executes runs, where nobody asks for what is theirs. */
  chat: Chat | undefined
  ledger: Pick<Ledger, 'usage' | 'disown'>
  keys: Pick<Keys, 'ofOwner' | 'disown'>
  clock: Clock
  log: Log
  record(entry: AuditEntry): Promise<void>
}

/** Where everything is that is known about people: a part of the process that keeps something of them is named here. */
export function openPersonalData(options: PersonalDataOptions): Privacy {
  const { kv, sql, hasSql, conversations, actions, chat, ledger, keys, clock, log, record } = options
  const hasArchive = sql.engine === 'postgres'

  async function* otherTurns(person: Owner): AsyncGenerator<string> {
    for await (const name of namesInLiveState(kv, person)) if (isTurnId(name)) yield name
    if (hasArchive) yield* turnsOf(sql, person)
  }

  const erasers: Eraser[] = [
    { place: 'runs', erase: async (owner) => (hasSql() ? eraseRuns(sql, owner, clock.now()) : 0) },
    { place: 'keys', erase: (owner) => keys.disown(owner) },
    { place: 'ledger', erase: (owner) => ledger.disown(owner.tenant, partitionOf(owner)) },
  ]
  if (hasArchive) erasers.unshift({ place: 'archive', erase: (owner) => eraseTurns(sql, owner) })

  const exporters: Exporter[] = [
    {
      part: 'runs',
      async *items(person) {
        if (hasSql()) yield* exportRuns(actions, person)
      },
    },
    { part: 'keys', items: (person) => keys.ofOwner(person) },
    {
      part: 'usage',
      async *items(person) {
        yield* await ledger.usage(person.tenant, { user: partitionOf(person) }, { from: 0, to: clock.now() })
      },
    },
  ]
  if (chat) {
    exporters.unshift({
      part: 'conversations',
      items: (person) => exportConversations({ chat, conversations, otherTurns: otherTurns(person) }, person),
    })
  }

  return openPrivacy({
    ...{ kv, clock, log, record, erasers, exporters },
    sql: hasArchive ? sql : undefined,
    destroyKey: (owner) => conversations.destroyKey(owner),
    hasKey: (owner) => conversations.hasKey(owner),
  })
}
