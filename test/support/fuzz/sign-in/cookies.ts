import type { From, PendingCookie, SessionCookie } from './steps.ts'

/** As browsers over plain http know them. */
export const PENDING = 'parley-sign-in'
export const SESSION = 'parley-session'

/** What is sent, and whether it is the secret that the sign-in was begun with. */
export function pendingCookie(kind: PendingCookie, own: string, another: string): { cookie: string; isOwn: boolean } {
  const of = (value: string) => `${PENDING}=${value}`
  const cookies: Record<PendingCookie, string> = {
    own: of(own),
    'own first of two': `${of(own)}; ${of(another)}`,
    'own among others': `x${of(another)};a=b; ${of(own)} ;${PENDING}x=1`,
    none: 'a=b',
    another: of(another),
    'another first of two': `${of(another)}; ${of(own)}`,
    cut: of(own.slice(0, -1)),
    longer: of(`${own}A`),
    empty: of(''),
    'made up': of('a'.repeat(43)),
  }
  return { cookie: cookies[kind], isOwn: kind.startsWith('own') || own === another }
}

/** What is sent, and the value that it gives the session. */
export function sessionCookie(kind: SessionCookie, own: string, another: string): { cookie: string; value: string } {
  const [tenant = '', id = '', secret = ''] = own.split('.')
  const [otherTenant = '', otherId = '', otherSecret = ''] = another.split('.')
  const values: Record<SessionCookie, string> = {
    own,
    cut: own.slice(0, -1),
    longer: `${own}A`,
    'secret of another': [tenant, id, otherSecret].join('.'),
    'owner of another': [otherTenant, otherId, secret].join('.'),
    'made up': [tenant, id, 'a'.repeat(43)].join('.'),
    'parts too many': `${own}.x`,
    empty: '',
  }
  return { cookie: `a=b; ${SESSION}=${values[kind]}`, value: values[kind] }
}

/** What a browser says of the page that asks, and whether a session counts for it: where it reads, and where it changes something. */
export function origin(
  from: From,
  own: string,
  listed: string,
): { headers: Record<string, string>; reads: boolean; changes: boolean } {
  const headers: Record<From, Record<string, string>> = {
    own: { origin: own },
    'same-origin': { 'sec-fetch-site': 'same-origin' },
    none: {},
    listed: { origin: listed },
    evil: { origin: 'https://evil.example' },
    null: { origin: 'null' },
    'cross-site': { 'sec-fetch-site': 'cross-site' },
    'same-site': { 'sec-fetch-site': 'same-site' },
  }
  const changes = from === 'own' || from === 'same-origin'
  return { headers: headers[from], changes, reads: changes || from === 'none' }
}
