import type { Sql } from '#platform/sql/sql.ts'

export type Priority = 'low' | 'high'
export type TicketStatus = 'open' | 'closed'

export interface Ticket {
  /** From 1 within a tenant. */
  ticket: number
  title: string
  priority: Priority
  status: TicketStatus
}

export interface NewTicket {
  tenant: string
  /** The same key again gives the ticket that it has. */
  key: string
  title: string
  priority: Priority
  /** Ms since the epoch. */
  now: number
}

const COLUMNS = `number AS ticket, title, priority, CASE WHEN closed_at IS NULL THEN 'open' ELSE 'closed' END AS status`

/** Who numbers a ticket of a tenant holds its lock, so that each number is given once and without gaps. */
const LOCK_TENANT = `SELECT pg_advisory_xact_lock(hashtext('tickets of ' || $1))`
const KNOWN = `SELECT ${COLUMNS} FROM tickets WHERE tenant = $1 AND key = $2`
const INSERT = `
  INSERT INTO tickets (tenant, number, key, title, priority, opened_at)
  SELECT $1::text, coalesce(max(number), 0) + 1, $2::text, $3::text, $4::text, $5::bigint FROM tickets WHERE tenant = $1
  RETURNING ${COLUMNS}`

export async function openTicket(sql: Sql, { tenant, key, title, priority, now }: NewTicket): Promise<Ticket> {
  const [ticket] = await sql.transaction({ tenant }, async (tx) => {
    await tx.query(LOCK_TENANT, [tenant])
    const known = await tx.query<Ticket>(KNOWN, [tenant, key])
    return known.length > 0 ? known : tx.query<Ticket>(INSERT, [tenant, key, title, priority, now])
  })
  if (!ticket) throw new Error('a ticket was neither written nor found')
  return ticket
}

/** Newest first; of any status where none is named. */
export function listTickets(
  sql: Sql,
  { tenant, status, limit }: { tenant: string; status: TicketStatus | undefined; limit: number },
): Promise<Ticket[]> {
  return sql.query<Ticket>(
    { tenant },
    `SELECT ${COLUMNS} FROM tickets
     WHERE tenant = $1 AND ($2::text IS NULL OR (closed_at IS NULL) = ($2 = 'open'))
     ORDER BY number DESC LIMIT $3`,
    [tenant, status ?? null, limit],
  )
}

/** Closing it again changes nothing. Undefined: there is no such ticket. */
export async function closeTicket(
  sql: Sql,
  { tenant, ticket, now }: { tenant: string; ticket: number; now: number },
): Promise<Ticket | undefined> {
  const text = `UPDATE tickets SET closed_at = coalesce(closed_at, $3) WHERE tenant = $1 AND number = $2 RETURNING ${COLUMNS}`
  const [closed] = await sql.query<Ticket>({ tenant }, text, [tenant, ticket, now])
  return closed
}

/** Whether a ticket of this title, in any case, is open. */
export async function isOpen(sql: Sql, { tenant, title }: { tenant: string; title: string }): Promise<boolean> {
  const text = `SELECT 1 FROM tickets WHERE tenant = $1 AND lower(title) = lower($2) AND closed_at IS NULL LIMIT 1`
  return (await sql.query({ tenant }, text, [tenant, title])).length > 0
}
