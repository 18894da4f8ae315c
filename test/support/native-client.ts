import assert from 'node:assert/strict'
import { type SseEvent, sseEvents } from './sse.ts'

/** The few calls of the native API that feature tests make again and again. */
export function nativeClient(url: string) {
  async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
    const response = await fetch(url + path, {
      method,
      headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) }
  }

  return {
    call,

    async conversation(specialist: string): Promise<string> {
      const { status, body } = await call('POST', '/api/v1/conversations', { specialist })
      assert.equal(status, 201, JSON.stringify(body))
      return body.id
    },

    /** Starts a turn and hands out its stream; abort the signal to leave. */
    async stream(
      conversation: string,
      message: string,
      init: { signal?: AbortSignal; headers?: Record<string, string> } = {},
    ) {
      const response = await fetch(`${url}/api/v1/conversations/${conversation}/turns`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'text/event-stream', ...init.headers },
        body: JSON.stringify({ message }),
        ...(init.signal && { signal: init.signal }),
      })
      assert.equal(response.status, 200, response.status === 200 ? '' : await response.text())
      return { turn: response.headers.get('x-parley-turn') ?? '', events: sseEvents(response.body) }
    },

    async resume(turn: string, lastEventId?: string, signal?: AbortSignal): Promise<AsyncGenerator<SseEvent>> {
      const response = await fetch(`${url}/api/v1/turns/${turn}/stream`, {
        headers: { accept: 'text/event-stream', ...(lastEventId !== undefined && { 'last-event-id': lastEventId }) },
        ...(signal && { signal }),
      })
      assert.ok([200, 204].includes(response.status), response.status > 204 ? await response.text() : '')
      return sseEvents(response.body)
    },
  }
}

export async function collect(events: AsyncIterable<SseEvent>): Promise<SseEvent[]> {
  return Array.fromAsync(events)
}

/** The text as a reader is left with it: resets start the step over. */
export function textOf(events: readonly SseEvent[]): string {
  let finished = ''
  let step = ''
  for (const { type, data } of events) {
    if (type === 'token') step += (data as { text: string }).text
    else if (type === 'segment' && (data as { reset?: true }).reset) step = ''
    else if (type === 'call') {
      finished += step
      step = ''
    }
  }
  return finished + step
}
