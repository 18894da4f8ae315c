import type { AuditVerdict } from '#governance/audit.ts'
import type { Command } from './command.ts'
import { Misused, Refused } from './faults.ts'

const BROKEN: Record<NonNullable<AuditVerdict['broken']>['because'], string> = {
  missing: 'is missing',
  changed: 'was changed, or is not where it was',
  'cut-off': 'and what came after it were cut off',
  'added-past-head': 'was added behind the back of the log',
  'not-as-seen': 'is not what was seen there',
  'past-its-time': 'cannot be looked for: it is past its time, and was taken out',
}

export const auditCommands: Record<string, Command> = {
  verify: {
    operands: [],
    flags: '[--seen <seq>:<hash>]',
    summary: 'whether the audit log was tampered with; --seen is an entry as it was shown or logged before',
    options: { seen: { type: 'string' } },
    async run({ client, text, show }) {
      const seen = text('seen')
      if (seen !== undefined && !/^\d{1,15}:[0-9a-f]{64}$/.test(seen)) throw new Misused('--seen is <seq>:<hash>.')
      const query = seen === undefined ? '' : `?seen=${seen}`
      const { body } = await client.ask<AuditVerdict>('GET', `/api/v1/audit/verify${query}`)
      if (body.broken) throw tampered(body, body.broken)
      const entries = body.entries === 1 ? '1 entry' : `${body.entries} entries`
      show(body, () => `The audit log is intact: ${entries}${endOf(body)}\n${beginningOf(body)}`)
    },
  },
}

/** Enough to look for it again later. */
function endOf({ head }: AuditVerdict): string {
  return head ? `, the last ${head.seq}:${head.hash}.` : '.'
}

function beginningOf({ from }: AuditVerdict): string {
  return from ? `It goes on from ${from.seq}:${from.hash}; what was before is past its time.\n` : ''
}

/** Exit code 1, and with `--json` the verdict. */
function tampered(verdict: AuditVerdict, { seq, because }: NonNullable<AuditVerdict['broken']>): Refused {
  const what = because === 'past-its-time' ? 'What was seen is not shown' : 'The audit log does not hold'
  const message = `${what}: entry ${seq} ${BROKEN[because]}.`
  const error = { code: 'audit_broken', message, type: 'invalid_request_error', param: null, request_id: null } as const
  return new Refused({ ...verdict, error })
}
