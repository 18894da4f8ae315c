import type { Key, Reply, Step } from '#platform/kv/kv.ts'

/** A conversation as kept: its title sealed. */
export interface StoredConversation {
  specialist: string
  config: string
  arm: 'stable' | 'canary'
  cohort: string
  createdAt: number
  updatedAt: number
  messages: number
  version: number
  liveTurn: string | null
  title: Buffer | undefined
}

export const fields = [
  'specialist',
  'config',
  'arm',
  'cohort',
  'createdAt',
  'updatedAt',
  'messages',
  'version',
  'live',
  'title',
] as const

/** The fields as a script names them. */
export const fieldsInLua = fields.map((field) => `'${field}'`).join(', ')

/** HMGET. */
export function readFields(step: Step, record: Key): (Buffer | null)[] {
  return fields.map((field) => step.get(record, field) ?? null)
}

/** The fields in their order, from `at` on; undefined when there is no such record. */
export function decodeRecord(reply: Reply, at = 0): StoredConversation | undefined {
  const [specialist, config, arm, cohort, createdAt, updatedAt, messages, version, live, title] = reply.slice(at)
  if (!specialist) return undefined
  return {
    specialist: String(specialist),
    config: String(config),
    arm: String(arm) === 'canary' ? 'canary' : 'stable',
    cohort: String(cohort ?? ''),
    createdAt: Number(createdAt),
    updatedAt: Number(updatedAt),
    messages: Number(messages),
    version: Number(version),
    liveTurn: live ? String(live) || null : null,
    title: Buffer.isBuffer(title) && title.length > 0 ? title : undefined,
  }
}
