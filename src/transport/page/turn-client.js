/** After so long without a byte (the server sends a comment every 15 s) the connection is taken for dead. */
const SILENCE_MS = 20_000
/** Each halved or doubled at random: not all who lose a server at once are to be at the next at once. */
const RETRY_MS = [250, 500, 1000, 2000, 4000]
const TERMINAL = new Set(['turn.completed', 'turn.failed', 'turn.cancelled'])

/** What the server refused, in its own words. */
export class Refusal extends Error {
  constructor({ code, message, request_id }, { status, headers }) {
    const request = request_id ?? headers.get('x-request-id')
    super(`${message} (${code}${request ? `, ${request}` : ''})`)
    this.code = code
    this.status = status
    this.retryAfterMs = Number(headers.get('retry-after') ?? 0) * 1000
  }
}

/** Resolves with a response that is a success; rejects with a Refusal, or with a TypeError when nobody answers. */
export async function call(method, path, { body, headers, signal } = {}) {
  const response = await fetch(path, {
    method,
    headers: { ...(body && { 'content-type': 'application/json' }), ...headers },
    body: body && JSON.stringify(body),
    signal,
  })
  if (response.ok) return response
  const { error } = await response.json().catch(() => ({}))
  throw new Refusal(error ?? { code: response.status, message: 'The server could not answer.' }, response)
}

export async function load(path) {
  return (await call('GET', path)).json()
}

/** Opens the stream of a turn. */
export function readTurn(turn) {
  return (init) => call('GET', `/api/v1/turns/${turn}/stream`, init)
}

/**
 * The events of a turn until its terminal one, over as many connections as it takes; `open` makes the first. What comes
 * without an id is provisional, also when it is terminal: it may come again or come differently, so `onBreak` has it
 * forgotten before the next connection takes up the thread after the last id. With each event comes the response it is from.
 */
export async function* follow(open, { onBreak, signal }) {
  let lastId
  let turn
  for (let tries = 0; ; tries += 1) {
    let least = 0
    try {
      const silence = new AbortController()
      const either = AbortSignal.any([signal, silence.signal])
      const headers = { accept: 'text/event-stream', ...(lastId && { 'last-event-id': lastId }) }
      const response = await unlessSilent(silence, open({ headers, signal: either }))
      if (response.status === 204) return
      turn = response.headers.get('x-parley-turn')
      open = readTurn(turn)
      for await (const event of eventsOf(response.body, silence)) {
        tries = 0
        lastId = event.id ?? lastId
        yield { ...event, turn, response }
        if (event.id && TERMINAL.has(event.type)) return
      }
    } catch (error) {
      if (signal.aborted || !mayPass(error, turn)) throw error
      least = error.retryAfterMs ?? 0
    }
    onBreak()
    const waitMs = RETRY_MS[Math.min(tries, RETRY_MS.length - 1)] * 2 ** (2 * Math.random() - 1)
    await new Promise((resolve) => setTimeout(resolve, least + waitMs))
  }
}

/** Nobody answered, or it fell silent; or the server is in trouble while a turn runs, which will be over one day. */
function mayPass(error, turn) {
  if (!(error instanceof Refusal)) return error instanceof TypeError || error.name === 'AbortError'
  return turn !== undefined && (error.status >= 500 || error.status === 429)
}

/** Gives a connection up that says nothing for too long, be it before its first byte or between two. */
function unlessSilent(silence, news) {
  const timer = setTimeout(() => silence.abort(), SILENCE_MS)
  return news.finally(() => clearTimeout(timer))
}

async function* eventsOf(body, silence) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  try {
    for (;;) {
      const { value, done } = await unlessSilent(silence, reader.read())
      if (done) return
      const blocks = (rest + value).split('\n\n')
      rest = blocks.pop()
      for (const block of blocks) {
        const field = (name) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1]
        const data = field('data')
        if (data !== undefined) yield { id: field('id'), type: field('event'), data: JSON.parse(data) }
      }
    }
  } finally {
    reader.cancel().catch(() => {})
  }
}
