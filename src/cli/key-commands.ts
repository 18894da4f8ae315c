import type { KeyView } from '#identity/keys.ts'
import type { Call, Command } from './command.ts'
import { Misused } from './faults.ts'
import { instant, table } from './layout.ts'

const keys = '/api/v1/keys'
const TERMS = { days: { type: 'string' } } as const

interface Issued extends KeyView {
  key: string | null
}

interface Page {
  items: KeyView[]
  next: string | null
}

export const keyCommands: Record<string, Command> = {
  create: {
    operands: ['<name>'],
    flags: '[--chat <names>] [--actions <names>] [--days <n>] [--budget <usd>/day|month]',
    summary: 'a key for a tool; --chat (everything) and --actions (nothing) take names by comma, or * for all',
    options: { ...TERMS, chat: { type: 'string' }, actions: { type: 'string' }, budget: { type: 'string' } },
    async run(call) {
      const { client, operand, show } = call
      const body = {
        name: operand(0),
        days: wholeOf(call, 'days'),
        chat: namesOf(call, 'chat'),
        actions: namesOf(call, 'actions'),
        budget: budgetOf(call),
      }
      const issued = await client.ask<Issued>('POST', keys, { body })
      show(issued.body, () => renderIssued(issued.body))
    },
  },
  list: {
    operands: [],
    flags: '[--tenant] [--owner <id>]',
    summary: 'one’s own keys; an Admin sees the tenant’s, or those that one person made',
    options: { tenant: { type: 'boolean' }, owner: { type: 'string' } },
    async run({ client, flag, text, show }) {
      const owner = text('owner')
      const ofTenant = flag('tenant') || owner !== undefined
      const query = new URLSearchParams({ limit: '200', ...(ofTenant && { whose: 'tenant' }), ...(owner && { owner }) })
      const all: KeyView[] = []
      for (let next: string | null = ''; next !== null; ) {
        if (next !== '') query.set('cursor', next)
        const { body }: { body: Page } = await client.ask<Page>('GET', `${keys}?${query}`)
        all.push(...body.items)
        next = body.next
      }
      show(all, () => renderKeys(all))
    },
  },
  rotate: {
    operands: ['<id>'],
    flags: '[--overlap <minutes>] [--days <n>]',
    summary: 'a new text; the one before goes on for the overlap, a day when left out',
    options: { ...TERMS, overlap: { type: 'string' } },
    async run(call) {
      const { client, show } = call
      const path = pathOf(call)
      const { etag } = await client.ask<KeyView>('GET', path)
      const body = { overlapMinutes: wholeOf(call, 'overlap'), days: wholeOf(call, 'days') }
      const headers = { 'if-match': etag ?? '' }
      const issued = await client.ask<Issued>('POST', `${path}/rotate`, { headers, body })
      show(issued.body, () => renderIssued(issued.body))
    },
  },
  revoke: {
    operands: ['<id>'],
    flags: '',
    summary: 'end a key, on every replica within a second',
    options: {},
    async run(call) {
      await call.client.ask('DELETE', pathOf(call))
      call.show({ id: call.operand(0), status: 'revoked' }, () => `${call.operand(0)} is revoked.\n`)
    },
  },
}

function pathOf({ operand }: Call): string {
  const id = operand(0)
  if (!/^key_[0-9a-f]{32}$/.test(id)) throw new Misused('A key is named by its id, key_ and 32 digits.')
  return `${keys}/${id}`
}

function wholeOf({ text }: Call, option: string): number | undefined {
  const given = text(option)
  if (given === undefined) return undefined
  if (!/^\d{1,9}$/.test(given)) throw new Misused(`--${option} takes a whole number.`)
  return Number(given)
}

function namesOf({ text }: Call, option: string): string[] | undefined {
  return text(option)
    ?.split(',')
    .map((name) => name.trim())
    .filter(Boolean)
}

function budgetOf({ text }: Call): { limitUsd: number; period: string } | undefined {
  const given = text('budget')
  if (given === undefined) return undefined
  const [, usd, period] = /^(\d+(?:\.\d+)?)\/(day|month)$/.exec(given) ?? []
  if (usd === undefined || period === undefined)
    throw new Misused('--budget is an amount of USD and a period, as 20/month.')
  return { limitUsd: Number(usd), period }
}

/** The text is on a line of its own: nothing shows it again. */
function renderIssued({ id, key, expiresAt, oldTextUntil }: Issued): string {
  const old = oldTextUntil === null ? '' : ` The text before is taken until ${instant(oldTextUntil)}.`
  return `${key}\n${id}, until ${instant(expiresAt)}. Its text is shown this once.${old}\n`
}

function renderKeys(all: readonly KeyView[]): string {
  if (all.length === 0) return 'There are no keys.\n'
  const rows = all.map(({ id, status, expiresAt, usedAt, chat, actions, budget, owner, name }) => [
    ...[id, status, instant(expiresAt), usedAt === null ? 'never' : instant(usedAt), chat.join(',') || 'nothing'],
    ...[
      actions.join(',') || 'nothing',
      budget ? `${budget.limitUsd}/${budget.period}` : 'none',
      owner ?? 'erased',
      name,
    ],
  ])
  return table(['id', 'status', 'until', 'used', 'chat', 'actions', 'budget', 'owner', 'name'], rows)
}
