import { SignInBrowser } from '../../sign-in-browser.ts'
import type { Answer, exchanges } from '../exchange.ts'
import type { Ground } from '../ground.ts'
import { wrongs } from '../wrongs.ts'
import { origin, PENDING, pendingCookie, SESSION, sessionCookie } from './cookies.ts'
import { letIn, type Person } from './signed-in.ts'
import type { Nth, SessionCookie, Step } from './steps.ts'

type Of<Kind extends Step['kind']> = Extract<Step, { kind: Kind }>

/** A sign-in that was begun. */
interface Pending {
  location: URL
  state: string
  secret: string
  tenant: string
  returnTo: string
  /** Somebody came back with its state. */
  isTaken: boolean
  /** `isTried`: it was brought before, and the authority may have taken it. */
  code?: { value: string; person: Person; isSound: boolean; isTried: boolean }
}

interface Session {
  cookie: string
  person: Person
  /** Since when it is over, ms; undefined while it is on. */
  endedAt?: number
}

interface Outcome {
  answer: Answer
  tell(wrong: string): void
}

const KEPT = 30
/** What a replica has read of a session, it goes by for so long. */
const STALE_MS = 1100
const CODE = 'made-up-code'
const STATE = 'b'.repeat(43)
const NOBODYS = `YQ.YQ.${'a'.repeat(43)}`
const HOSTILE = '%00%0d%0aset-cookie:a=b'

/** What browsers have by now, and what has to come of it. One step after the other, for the authority knows one person at a time. */
export class Browsers {
  asked = 0
  readonly #ground: Ground
  readonly #exchange: ReturnType<typeof exchanges>
  readonly #requests: number
  readonly #listed: string
  readonly #people: readonly Person[]
  #pendings: Pending[] = []
  #sessions: Session[] = []

  constructor(ground: Ground, exchange: ReturnType<typeof exchanges>, requests: number, listed: string) {
    this.#ground = ground
    this.#exchange = exchange
    this.#requests = requests
    this.#listed = listed
    const { home, guest } = ground.app.issuer
    this.#people = ['ana', 'berta', 'carl', 'dora'].map((oid, at) => ({
      oid: `${oid}-${at}`,
      tenant: (at === 3 ? guest : home).id,
      roles: ['Chat.User'],
    }))
  }

  take(step: Step): Promise<void> {
    switch (step.kind) {
      case 'begin':
        return this.#begin(step)
      case 'authorize':
        return this.#authorize(step)
      case 'return':
        return this.#return(step)
      case 'use':
        return this.#use(step)
      case 'leave':
        return this.#leave(step)
      case 'hostile':
        return this.#hostile(step)
    }
  }

  async #begin({ returnTo, tenant, more }: Of<'begin'>): Promise<void> {
    const { home, guest, authority } = this.#ground.app.issuer
    const asked = { home: home.id, guest: guest.id, none: undefined, another: crypto.randomUUID(), hostile: '../../x' }[
      tenant
    ]
    const given = {
      ...(returnTo !== undefined && { return: returnTo.toWellFormed() }),
      ...(asked && { tenant: asked }),
    }
    const query = [`${new URLSearchParams(given)}`, more].filter((each) => each !== '').join('&')
    const { answer, tell } = await this.#ask('signIn', 'GET', `/auth/login?${query}`)
    if (answer.status !== 302) {
      const isPlain = returnTo === undefined || returnTo === '/'
      if (isPlain && more === '' && tenant !== 'another' && tenant !== 'hostile') tell('refused')
      return
    }
    if (URL.parse(returnTo ?? '/', this.#ground.app.url)?.origin !== this.#ground.app.url)
      tell('leads back to another site')
    const location = new URL(answer.headers.location ?? 'about:blank')
    const secret = cookieSet(answer, PENDING)
    const state = location.searchParams.get('state') ?? ''
    if (location.origin !== authority) tell('leads to another place than the authority')
    if (location.searchParams.get('code_challenge_method') !== 'S256') tell('leads there without PKCE')
    if (location.searchParams.get('redirect_uri') !== `${this.#ground.app.url}/auth/callback`)
      tell('is to come back elsewhere')
    if (!secret || !/HttpOnly; SameSite=Lax/.test(String(answer.headers['set-cookie'])))
      tell('no cookie for its secret')
    if (tenant === 'another' || tenant === 'hostile') tell('a tenant that is not served signs in')
    if (more !== '') return
    this.#pendings.unshift({
      ...{ location, state, secret: secret ?? '', returnTo: returnTo ?? '/', isTaken: false },
      tenant: tenant === 'guest' ? guest.id : home.id,
    })
    this.#pendings.splice(KEPT)
  }

  async #authorize({ at, person: nth, tampered }: Of<'authorize'>): Promise<void> {
    const open = this.#pendings.filter(({ code, isTaken }) => !code && !isTaken)
    const pending = open[at % open.length]
    if (!pending) return
    const people = this.#people.filter(({ tenant }) => tenant === pending.tenant)
    const person = people[nth % people.length]
    if (!person) return
    letIn(this.#ground, person)
    const address = new URL(pending.location)
    if (tampered !== 'none') address.searchParams.set(tampered, tampered === 'state' ? STATE : 'c'.repeat(43))
    const { url } = await new SignInBrowser().visit(address.href, ({ pathname }) => pathname === '/auth/callback')
    const value = url.searchParams.get('code')
    // Whoever comes back has put the state right: it is not what makes the code sound.
    const isSound = tampered === 'none' || tampered === 'state'
    if (value !== null) pending.code = { value, person, isSound, isTried: false }
  }

  async #return({ at, state, code, cookie, error, more, times }: Of<'return'>): Promise<void> {
    const ready = this.#pendings
      .filter((each) => each.code)
      .toSorted((one, next) => Number(one.isTaken) - Number(next.isTaken))
    const pending = ready[at % ready.length]
    const own = pending?.code
    if (!pending || !own) return
    const other = ready[(at + 1) % ready.length] ?? pending
    const isOwnState = state === 'own' || (state === 'another' && other === pending)
    const isOwnCode = code === 'own' || (code === 'another' && other === pending)
    const query = [
      ...parameter('code', code, { own: own.value, another: other.code?.value ?? '', 'made up': CODE }),
      ...parameter('state', state, { own: pending.state, another: other.state, 'made up': STATE }),
      ...(error ? ['error=access_denied'] : []),
      ...(more === '' ? [] : [more]),
    ].join('&')
    const { cookie: sent, isOwn } = pendingCookie(cookie, pending.secret, other.secret)
    const mayPass = isOwnState && isOwnCode && isOwn && !error && !pending.isTaken && own.isSound
    const hasToPass = mayPass && !own.isTried && more === ''
    letIn(this.#ground, own.person)
    const path = `/auth/callback?${query}`
    const outcomes = await Promise.all(
      Array.from({ length: times }, () => this.#ask('finishSignIn', 'GET', path, { cookie: sent })),
    )
    const passed = outcomes.filter(({ answer }) => cookieSet(answer, SESSION))
    const [first] = outcomes
    if (!mayPass && passed.length > 0) first?.tell(`a session for ${cookie} cookie, ${state} state, ${code} code`)
    if (hasToPass && passed.length === 0) first?.tell('no session though all is right')
    if (passed.length > 1) first?.tell('several sessions of one sign-in')
    for (const { answer, tell } of outcomes) {
      const isSession = cookieSet(answer, SESSION) !== undefined
      if (answer.status < 400 !== isSession) tell('neither a session nor a refusal')
      if (answer.status !== 400 && !isCookieDropped(answer, PENDING)) tell('the secret is kept')
    }
    // Whoever comes back with what belongs to a sign-in has used it up, whether or not it comes to anything.
    if (outcomes.some(({ answer }) => answer.status !== 400) && !error && code !== 'none' && cookie !== 'none') {
      if (isOwnState) pending.isTaken = true
      else if (state === 'another') other.isTaken = true
      const redeemed = isOwnCode ? own : code === 'another' ? other.code : undefined
      if (redeemed) redeemed.isTried = true
    }
    for (const { answer, tell } of passed) {
      this.#landing(answer, pending, tell)
      this.#sessions.unshift({ cookie: cookieSet(answer, SESSION) ?? '', person: own.person })
      this.#sessions.splice(KEPT)
    }
    if (passed.length > 0) await this.#use({ kind: 'use', at: 0, other: 0, cookie: 'own', from: 'none', method: 'GET' })
  }

  /** It leads to where the sign-in was begun for, and that is a place of ours. */
  #landing(answer: Answer, { returnTo }: Pending, tell: Outcome['tell']): void {
    const { url } = this.#ground.app
    const [, refresh = ''] = /content="0; url=&quot;(.*?)&quot;"/.exec(answer.text) ?? []
    const [, href = ''] = /<a href="([^"]*)">/.exec(answer.text) ?? []
    const [refreshed = ''] = decoded(refresh).split('"')
    const places = answer.status === 302 ? [answer.headers.location ?? ''] : [decoded(href), refreshed]
    if (places.some((place) => new URL(place, url).origin !== url)) tell('leads to another site')
    if (new URL(places[0] ?? '', url).href !== new URL(returnTo, url).href)
      tell('leads elsewhere than it was begun for')
    if (/<script/i.test(answer.text)) tell('a document with a script')
  }

  async #use({ at, other, cookie, from, method }: Of<'use'>): Promise<void> {
    const { session, sent } = this.#brought(at, other, cookie)
    const { headers, reads, changes } = origin(from, this.#ground.app.url, this.#listed)
    const asks =
      method === 'GET' ? (['getMe', '/api/v1/me'] as const) : (['signOutEverywhere', '/api/v1/me/sessions'] as const)
    const isOver = session?.endedAt !== undefined
    const isStale = isOver && performance.now() - (session.endedAt ?? 0) < STALE_MS
    const { answer, tell } = await this.#ask(asks[0], method, asks[1], { cookie: sent, ...headers })
    const counts = session !== undefined && (method === 'GET' ? reads : changes)
    if (answer.status < 400 !== (counts && !isOver) && !(counts && isStale))
      tell(`${answer.status} for ${isOver ? 'a session that is over' : 'a session'} with ${cookie} cookie from ${from}`)
    if (answer.status >= 400 || !session) return
    const { person } = session
    if (method === 'GET') {
      const { tenant, id } = JSON.parse(answer.text) as { tenant?: unknown; id?: unknown }
      if (tenant !== person.tenant || id !== person.oid) tell('somebody else than who signed in')
    } else {
      for (const each of this.#sessions) if (each.person === person) each.endedAt ??= performance.now()
    }
  }

  async #leave({ at, other, cookie, from }: Of<'leave'>): Promise<void> {
    const { session, sent } = this.#brought(at, other, cookie)
    const { headers, changes } = origin(from, this.#ground.app.url, this.#listed)
    const { answer, tell } = await this.#ask('signOut', 'POST', '/auth/logout', { cookie: sent, ...headers })
    if (answer.status !== (changes ? 204 : 403)) tell(`${answer.status} from ${from}`)
    if (answer.status === 204 && !isCookieDropped(answer, SESSION)) tell('the cookie is kept')
    if (answer.status === 204 && session) session.endedAt ??= performance.now()
  }

  /** What goes along as a cookie, and the session that it is of. */
  #brought(at: Nth, other: Nth, kind: SessionCookie): { session: Session | undefined; sent: string } {
    const sessions = this.#sessions
    const [own = NOBODYS, another = NOBODYS] = [at, other].map((nth) => sessions[nth % sessions.length]?.cookie)
    const { cookie, value } = sessionCookie(kind, own, another)
    return { session: sessions.find((each) => each.cookie === value), sent: cookie }
  }

  async #hostile({ method, target, cookie }: Of<'hostile'>): Promise<void> {
    const { answer, tell } = await this.#ask(undefined, method, target, { cookie })
    if (cookieSet(answer, SESSION)) tell('a session for nothing')
  }

  async #ask(
    id: string | undefined,
    method: string,
    target: string,
    headers: Record<string, string> = {},
  ): Promise<Outcome> {
    const { document, found, count, asks } = this.#ground
    const operation = document.operations.find((each) => each.id === id)
    const shown = `${method} ${target.slice(0, 600)} ${JSON.stringify(headers).slice(0, 600)}`
    asks(shown)
    this.asked += 1
    const answer = await this.#exchange.ask({ method, target, headers, body: undefined })
    const name = `sign-in: ${id ?? 'hostile'}`
    count(name, `${answer.status}`, this.#requests)
    const tell = (wrong: string) =>
      found(
        `${name}: ${wrong}`,
        `${shown} → ${answer.status} ${JSON.stringify(answer.headers['set-cookie'] ?? '')} ${answer.headers.location ?? ''} ${answer.text.slice(0, 500)}`,
      )
    const asked = { method, isOfOperation: operation !== undefined, operation }
    for (const wrong of wrongs(asked, answer, document.misfit)) tell(wrong)
    return { answer, tell }
  }
}

function parameter(
  name: string,
  kind: Of<'return'>['state'],
  values: Record<'own' | 'another' | 'made up', string>,
): string[] {
  if (kind === 'none') return []
  if (kind === 'twice') return [`${name}=${values.own}`, `${name}=${values.own}`]
  return [`${name}=${kind === 'hostile' ? HOSTILE : values[kind]}`]
}

/** The value that an answer gives the cookie; undefined where it gives none. */
function cookieSet({ headers }: Answer, name: string): string | undefined {
  for (const each of headers['set-cookie'] ?? []) {
    const [, value] = new RegExp(`^${name}=([^;]+)`).exec(each) ?? []
    if (value !== undefined) return value
  }
  return undefined
}

function isCookieDropped({ headers }: Answer, name: string): boolean {
  return (headers['set-cookie'] ?? []).some((each) => each.startsWith(`${name}=;`) && each.includes('Max-Age=0'))
}

function decoded(text: string): string {
  return text.replaceAll('&quot;', '"').replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&')
}
