import { MARK } from './values.ts'

/** Who asks, and what may be shown to whom: what others of the tenant said to a model is not for its operators either. */
export interface Caller {
  oid: string
  tenant: string
  roles: readonly string[]
  headers: Record<string, string>
  /** Stands in what the caller says. */
  mark: string
}

type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

const KEPT_OF_A_KIND = 40
/** They lack the actions that the others have: not to be rolled out. */
const SHIPPED = new Set(['v001', 'v002'])
const IDS = /\b(conv|turn|run|key)_[0-9a-z]{20,}\b/g
const TOKEN = /~~(any-)?([a-z-]+)(?:\.(\d+))?~~/g
const KINDS = { conv: 'conversation', turn: 'turn', run: 'run', key: 'key' } as const

/**
 * What exists by now, as answers have told: ids by whom they belong to, states, versions, tags. In what is drawn, `~~kind.n~~`
 * stands for one that the caller has, `~~any-kind.n~~` for anybody's.
 */
export class Known {
  readonly #callers: readonly Caller[]
  /** By caller (`''` for anybody's) and kind. */
  readonly #pools = new Map<string, string[]>()
  readonly #tenantOf = new Map<string, string>()
  readonly #etags = new Map<string, string>()
  readonly #hashes = new Map<string, string>()

  constructor(callers: readonly Caller[]) {
    this.#callers = callers
  }

  /** What an answer to the caller has told. */
  keep(caller: Caller, target: string, text: string, etag: string | undefined): void {
    for (const [id, kind] of text.matchAll(IDS)) {
      if (this.#tenantOf.has(id)) continue
      this.#tenantOf.set(id, caller.tenant)
      this.#add(caller, KINDS[kind as keyof typeof KINDS], id)
    }
    if (etag) this.#etags.set(familyOf(target), etag)
    this.#look(caller, read(text))
  }

  /** The caller was erased: what was theirs is gone. */
  forget({ oid, tenant }: { oid: string; tenant: string }): void {
    for (const name of this.#pools.keys()) if (name.startsWith(`${tenant}:${oid} `)) this.#pools.delete(name)
  }

  isForeign({ tenant }: Caller, id: string): boolean {
    return (this.#tenantOf.get(id) ?? tenant) !== tenant
  }

  /** Of another tenant, and not asked for by the one who sees it. */
  foreignId(caller: Caller, asked: string, text: string): string | undefined {
    for (const [id] of text.matchAll(IDS)) {
      if (this.isForeign(caller, id) && !asked.includes(id)) return id
    }
    return undefined
  }

  fill(text: string, caller: Caller, target = text): string {
    const given = text.replaceAll('"~~arguments~~"', () => JSON.stringify(argumentsOf(target)))
    return given.replaceAll(TOKEN, (_, any: string | undefined, kind: string, at = '0') => {
      if (kind === 'tenant') return this.#tenant(caller, any !== undefined)
      if (kind === 'etag') return this.#etagOf(target)
      if (kind === 'hash') return this.#hashes.get(/run_\w+/.exec(target)?.[0] ?? '') ?? '0'.repeat(64)
      const whose = any ? '' : nameOf(caller)
      const pool = this.#pools.get(`${whose} ${kind}`) ?? this.#pools.get(`${whose} ${kind.split('-')[0]}`) ?? []
      return pool[Number(at) % pool.length] ?? 'none'
    })
  }

  #etagOf(target: string): string {
    const family = familyOf(target)
    return this.#etags.get(family) ?? this.#etags.get(family.split('/').at(-1) ?? '') ?? ''
  }

  #tenant({ tenant }: Caller, other: boolean): string {
    return (other && this.#callers.find((each) => each.tenant !== tenant)?.tenant) || tenant
  }

  #look(caller: Caller, value: Json): void {
    if (Array.isArray(value)) for (const part of value.slice(0, 50)) this.#look(caller, part)
    else if (value !== null && typeof value === 'object') {
      const { id, name, status, argumentsHash, hash, scope, version, etag, next } = value
      const tag = typeof version === 'number' ? `"${version}"` : etag
      for (const each of [id, typeof scope === 'string' && encodeURIComponent(scope), scope])
        if (typeof each === 'string' && typeof tag === 'string') this.#etags.set(each, tag)
      if (typeof id === 'string' && id.startsWith('run_') && typeof status === 'string') {
        this.#add(caller, `run-${status}`, id)
        if (typeof argumentsHash === 'string') this.#hashes.set(id, argumentsHash)
      }
      if (typeof next === 'string') this.#add(caller, 'cursor', encodeURIComponent(next))
      if (typeof id === 'string' && id.startsWith('turn_') && status === 'running')
        this.#add(caller, 'turn-running', id)
      if (typeof name === 'string' && typeof hash === 'string' && status === 'sound' && !SHIPPED.has(name))
        for (const each of this.#callers) this.#add(each, 'version', name)
      for (const part of Object.values(value)) this.#look(caller, part)
    }
  }

  /** The newest stand first. */
  #add(caller: Caller, kind: string, id: string): void {
    for (const name of [nameOf(caller), '']) {
      const pool = this.#pools.getOrInsertComputed(`${name} ${kind}`, () => [])
      if (pool.includes(id)) continue
      pool.unshift(id)
      if (pool.length > KEPT_OF_A_KIND) pool.pop()
    }
  }
}

/** Marks stand only in what belongs to whoever says it, and not in what operators tell everybody. */
export function marked(text: string, path: string, { mark }: Caller): string {
  const isOwn = OWN.some((prefix) => path.startsWith(prefix))
  return text.replaceAll(MARK, isOwn ? mark : 'text').replaceAll(encodeURIComponent(MARK), isOwn ? mark : 'text')
}

/** The marks that the caller may not be shown there, each with what it would be. */
export function* hiddenMarks(callers: readonly Caller[], caller: Caller, path: string): Iterable<[string, string]> {
  for (const other of callers) {
    if (other.tenant !== caller.tenant) yield [other.mark, 'a mark of the other tenant']
    else if (other !== caller && PRIVATE.some((prefix) => path.startsWith(prefix)))
      yield [other.mark, 'a mark of somebody else of the tenant']
  }
}

const PRIVATE = ['/api/v1/conversations', '/api/v1/turns', '/api/v1/specialists', '/api/v1/me', '/v1/']
const OWN = [...PRIVATE, '/api/v1/actions']

/** That the action takes which is called there. */
function argumentsOf(target: string): unknown {
  const [, action = ''] = /\/actions\/(\w+)/.exec(target) ?? []
  return { ...ARGUMENTS[action] }
}

const ARGUMENTS: Record<string, object> = {
  create_ticket: { title: MARK, priority: 'high' },
  calculate: { expression: '6 * 7' },
  current_time: { zone: 'Europe/Berlin' },
  fail: { note: MARK },
  doubt: { note: MARK },
  page_on_call: { message: MARK },
  close_ticket: { ticket: 1 },
}

function read(text: string): Json {
  try {
    return JSON.parse(text) as Json
  } catch {
    return null
  }
}

function nameOf({ tenant, oid }: Caller): string {
  return `${tenant}:${oid}`
}

/** What shares a tag: a resource with what is done to it. */
function familyOf(target: string): string {
  const [path = ''] = target.split('?')
  return path.replace(/\/(start|promote|pause|resume|rollback|restore|rotate|stop|override|stream|history)$/, '')
}
