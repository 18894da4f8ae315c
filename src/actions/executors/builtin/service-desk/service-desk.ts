import type { Sql } from '#platform/sql/sql.ts'
import { CorrectableError, type Executor, type ExecutorContext, PassingError } from '../../executor.ts'
import { closeTicket, isOpen, listTickets, openTicket, type Priority, type TicketStatus } from './tickets.ts'

/** As long as a ticket of this title is open, nobody is paged. */
const MAINTENANCE = 'maintenance'
const RESTART_ATTEMPTS = 3
const LISTED = 50
/** Numbers of tickets are int4. */
const MAX_NUMBER = 2_147_483_647

/**
 * A service desk to try actions with, kept in Parley's own database. Three of its functions are what a service desk does:
 *
 * - `create_ticket {title, priority?}` → `{ticket, title, priority, status}`; once per run, however often it is tried
 * - `list_tickets {status?}` → `{tickets}`, the newest 50
 * - `close_ticket {ticket}` → `{ticket, status}`
 *
 * and two show how runs go on after a failure that may pass:
 *
 * - `restart_service {service}` → `{service, status}`, at the third attempt
 * - `page_on_call {message}` → `{paged, message}`, unless a ticket "maintenance" is open
 */
export function serviceDesk(sql: Sql): ReadonlyMap<string, Executor> {
  const createTicket: Executor = async ({ title, priority }, context) => {
    const given = { title: textOf('title', title), priority: priorityOf(priority) }
    await context.begin()
    const { key, clock } = context
    return openTicket(sql, { tenant: tenantOf(context), key, ...given, now: clock.now() })
  }

  const listAll: Executor = async ({ status }, context) => {
    const tickets = await listTickets(sql, { tenant: tenantOf(context), status: statusOf(status), limit: LISTED })
    return { tickets }
  }

  const close: Executor = async ({ ticket }, context) => {
    const number = numberOf(ticket)
    await context.begin()
    const closed = await closeTicket(sql, { tenant: tenantOf(context), ticket: number, now: context.clock.now() })
    if (!closed) throw new CorrectableError(`There is no ticket ${number}.`)
    // Not its title: that is somebody else's words.
    return { ticket: closed.ticket, status: closed.status }
  }

  const pageOnCall: Executor = async ({ message }, context) => {
    const said = textOf('message', message)
    if (await isOpen(sql, { tenant: tenantOf(context), title: MAINTENANCE })) {
      throw new PassingError('Nobody is paged while a ticket "maintenance" is open.', {
        reason: 'maintenance',
        untouched: true,
      })
    }
    await context.begin()
    return { paged: 'the on-call engineer', message: said }
  }

  return new Map([
    ['create_ticket', createTicket],
    ['list_tickets', listAll],
    ['close_ticket', close],
    ['restart_service', restartService],
    ['page_on_call', pageOnCall],
  ])
}

const restartService: Executor = async ({ service }, { attempt, begin }) => {
  const name = textOf('service', service)
  await begin()
  if (attempt < RESTART_ATTEMPTS) {
    throw new PassingError('The service has not stopped yet.', { reason: 'service_busy' })
  }
  return { service: name, status: 'running' }
}

function tenantOf({ principal }: ExecutorContext): string {
  return principal.tenant
}

/** Databases take no NUL, and a list of tickets no line breaks. */
function textOf(name: string, value: unknown): string {
  if (typeof value !== 'string' || value.trim() === '' || /\p{Cc}/u.test(value)) {
    throw new CorrectableError(`The argument "${name}" has to be a line of text.`)
  }
  return value.trim()
}

function priorityOf(value: unknown): Priority {
  return value === 'high' ? 'high' : 'low'
}

function statusOf(value: unknown): TicketStatus | undefined {
  return value === 'open' || value === 'closed' ? value : undefined
}

function numberOf(value: unknown): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= MAX_NUMBER) return value
  throw new CorrectableError('The argument "ticket" has to be the number of a ticket.')
}
