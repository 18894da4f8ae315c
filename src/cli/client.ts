import { Foreign, Misused, Refused } from './faults.ts'
import { readEvents, type ServerEvent } from './server-events.ts'

export interface Answer<Body> {
  status: number
  etag: string | null
  body: Body
}

export interface Asked {
  headers?: Record<string, string>
  body?: unknown
  /** Sent as they are. */
  bytes?: Uint8Array<ArrayBuffer>
  /** Gives this one up, beside the signal of all. */
  signal?: AbortSignal
}

/** Speaks to a process over HTTP, as any other client does. */
export interface Client {
  /** Rejects with Refused. */
  ask<Body>(method: string, path: string, asked?: Asked): Promise<Answer<Body>>
  /** The answer itself, its body still to be read. Rejects with Refused. */
  open(method: string, path: string, asked?: Asked): Promise<Response>
  bytes(path: string, accept: string): Promise<Uint8Array>
  /** As they come. Rejects with Refused, also where the answer breaks off. */
  chunks(path: string, accept: string): AsyncGenerator<Uint8Array>
  /** Ends when the connection does, and when the signal aborts. */
  events(path: string): AsyncGenerator<ServerEvent>
}

const LOCAL = 'http://127.0.0.1:8080'

export function createClient(given: {
  url: string | undefined
  token: string | undefined
  signal: AbortSignal
}): Client {
  const base = URL.parse(given.url || LOCAL)
  if (!base || !/^https?:$/.test(base.protocol)) throw new Misused('PARLEY_URL has to be a URL of http or https.')
  const { token } = given
  // Without the user and password that an address may hold.
  const { origin } = base

  async function send(method: string, path: string, asked: Asked = {}): Promise<Response> {
    const { headers, body, bytes } = asked
    const signal = asked.signal ? AbortSignal.any([given.signal, asked.signal]) : given.signal
    const response = await fetch(new URL(path.slice(1), asFolder(base)), {
      method,
      signal,
      headers: {
        ...(token && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      ...(bytes && { body: bytes }),
    }).catch((error: Error & { cause?: { code?: string; message?: string } }) => {
      const why = error.cause?.code ?? error.cause?.message ?? error.message
      throw signal.aborted ? error : unreachable(`${origin} cannot be reached: ${why}.`)
    })
    if (!response.ok) throw await refusalOf(response)
    return response
  }

  return {
    async ask<Body>(method: string, path: string, asked?: Asked) {
      const response = await send(method, path, asked)
      const body = (response.status === 204 ? undefined : await jsonOf(response, asked?.signal ?? given.signal)) as Body
      return { status: response.status, etag: response.headers.get('etag'), body }
    },
    open: send,
    async bytes(path, accept) {
      const response = await send('GET', path, { headers: { accept } })
      return response.bytes().catch((error) => {
        throw given.signal.aborted ? error : brokenOff()
      })
    },
    async *chunks(path, accept) {
      const { body } = await send('GET', path, { headers: { accept } })
      try {
        if (body) yield* body
      } catch (error) {
        throw given.signal.aborted ? error : brokenOff()
      }
    },
    async *events(path) {
      const response = await send('GET', path, { headers: { accept: 'text/event-stream' } })
      if (!isEventStream(response)) throw notOurs(response)
      if (response.body) yield* readEvents(response.body)
    },
  }
}

export function isEventStream({ headers }: Response): boolean {
  return headers.get('content-type')?.startsWith('text/event-stream') === true
}

function asFolder(base: URL | null): string {
  return `${base?.origin}${base?.pathname.replace(/\/*$/, '/')}`
}

/** In the shape of Parley's own errors where it is one; what stands between may answer in another. */
async function refusalOf(response: Response): Promise<Refused> {
  try {
    const body = (await response.json()) as Refused['body']
    if (typeof body.error.message === 'string') return new Refused(body)
  } catch {}
  return notOurs(response)
}

/** What stands between may answer a page of its own, such as a sign-in, with 200. */
async function jsonOf(response: Response, signal: AbortSignal): Promise<unknown> {
  try {
    return await response.json()
  } catch (error) {
    if (signal.aborted) throw error
    throw error instanceof SyntaxError ? notOurs(response) : brokenOff()
  }
}

export function notOurs({ ok, status, statusText, url }: Response): Refused {
  const refused = unreachable(`${url} answered ${status} ${statusText}, and it was not Parley.`)
  return ok ? new Foreign(refused.body) : refused
}

function brokenOff(): Refused {
  return unreachable('The answer broke off; what came of it is not all.')
}

function unreachable(message: string): Refused {
  return new Refused({ error: { code: 'unreachable', message, type: 'server_error', param: null, request_id: null } })
}
