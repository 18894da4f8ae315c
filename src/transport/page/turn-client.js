/** After so long without a byte (the server sends a comment every 15 s) the connection is taken for dead. */
const SILENCE_MS = 20_000
const RETRY_MS = [250, 500, 1000, 2000, 4000]
const TERMINAL = new Set(['turn.completed', 'turn.failed', 'turn.cancelled'])

/** What the server refused, in its own words. */
export class Refusal extends Error {
  constructor({ code, message, request_id }) {
    super(`${message} (${code}${request_id ? `, ${request_id}` : ''})`)
    this.code = code
  }
}

export async function call(method, path, body) {
  const response = await fetch(path, {
    method,
    headers: body === undefined ? {} : { 'content-type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
  })
  if (response.ok) return response.status === 204 ? undefined : response.json().catch(() => undefined)
  throw await refusalOf(response)
}

async function refusalOf(response) {
  const { error } = await response.json().catch(() => ({}))
  return new Refusal(error ?? { code: response.status, message: response.statusText })
}

/** Starts a turn; asked again after a failed request, the key makes it the same turn. */
export function startTurn(conversation, message) {
  const key = crypto.randomUUID()
  return (signal) =>
    fetch(`/api/v1/conversations/${conversation}/turns`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream', 'idempotency-key': key },
      body: JSON.stringify({ message }),
      signal,
    })
}

export function readTurn(turn) {
  return (signal, lastId) =>
    fetch(`/api/v1/turns/${turn}/stream`, {
      headers: { accept: 'text/event-stream', ...(lastId && { 'last-event-id': lastId }) },
      signal,
    })
}

/**
 * The events of a turn until its terminal one, over as many connections as it takes. Before a new connection takes up the
 * thread, `onBreak(true)` says so, and what came without an id since the last one with an id is to be forgotten: it comes
 * again.
 */
export async function* follow(open, { onTurn, onBreak }) {
  let lastId
  for (let tries = 0; ; tries += 1) {
    try {
      const silence = new AbortController()
      const response = await open(silence.signal, lastId)
      if (response.status === 204) return
      if (!response.ok) {
        const refusal = await refusalOf(response)
        if (response.status < 500) throw refusal
        throw new Error('try again', { cause: refusal })
      }
      const turn = response.headers.get('x-parley-turn')
      if (turn) {
        onTurn(turn)
        open = readTurn(turn)
      }
      onBreak(false)
      for await (const event of events(response.body, silence)) {
        tries = 0
        lastId = event.id ?? lastId
        yield event
        if (TERMINAL.has(event.type)) return
      }
    } catch (error) {
      if (error instanceof Refusal) throw error
    }
    onBreak(true)
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS[Math.min(tries, RETRY_MS.length - 1)]))
  }
}

async function* events(body, silence) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  for (;;) {
    const timer = setTimeout(() => silence.abort(), SILENCE_MS)
    const { value, done } = await reader.read().finally(() => clearTimeout(timer))
    if (done) return
    const blocks = (rest + value).split('\n\n')
    rest = blocks.pop()
    for (const block of blocks) {
      const field = (name) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1]
      const data = field('data')
      if (data !== undefined) yield { id: field('id'), type: field('event'), data: JSON.parse(data) }
    }
  }
}
