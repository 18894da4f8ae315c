import { setTimeout as wait } from 'node:timers/promises'
import { type Client, isEventStream, notOurs } from './client.ts'
import { Foreign, Refused } from './faults.ts'
import { readEvents, type ServerEvent } from './server-events.ts'

/** An event that the turn's log has; whoever comes back behind its id gets neither it nor anything before it again. */
export interface LoggedEvent extends ServerEvent {
  turn: string
  id: string
}

export interface Following {
  signal: AbortSignal
  /** Called each time that the line is lost, before it is asked for again. */
  onBreak(): void
  patience?: Patience
}

export interface Patience {
  /** After so long without a byte the line is taken for dead; the server sends a comment every 15 s. */
  silenceMs: number
  /** Between tries that bring nothing; after the last of them it is given up. */
  retryMs: readonly number[]
}

/** A minute and a half: what stands in for a process that was killed has taken its turns over by then. */
export const PATIENCE: Patience = {
  silenceMs: 20_000,
  retryMs: [250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000, 15_000, 15_000],
}

const TERMINAL: ReadonlySet<string> = new Set(['turn.completed', 'turn.failed', 'turn.cancelled'])

type Open = (init: { headers: Record<string, string>; signal: AbortSignal }) => Promise<Response>

/**
 * The events of a turn until its terminal one, over as many connections as it takes; `open` makes the first. What has no id is
 * not in the log yet and may come again, so it is held back until one comes that has.
 */
export async function* followTurn(
  client: Client,
  open: Open,
  { signal, onBreak, patience = PATIENCE }: Following,
  lastId?: string,
): AsyncGenerator<LoggedEvent> {
  let from = lastId
  let turn: string | undefined
  for (let tries = 0; ; tries += 1) {
    let cause: unknown
    try {
      using silence = watchSilence(patience.silenceMs)
      const headers = { accept: 'text/event-stream', ...(from !== undefined && { 'last-event-id': from }) }
      const response = await open({ headers, signal: AbortSignal.any([signal, silence.signal]) })
      if (response.status === 204 || !response.body) return
      turn = response.headers.get('x-parley-turn') ?? turn
      if (turn === undefined || !isEventStream(response)) {
        await response.body.cancel()
        throw notOurs(response)
      }
      open = readTurn(client, turn)
      const held: ServerEvent[] = []
      for await (const event of readEvents(silence.hear(response.body))) {
        held.push(event)
        const { id } = event
        if (id === undefined) continue
        tries = 0
        from = id
        for (const each of held.splice(0)) yield { ...each, turn, id: each.id ?? id }
        if (TERMINAL.has(event.type)) return
      }
    } catch (error) {
      if (signal.aborted || !mayPass(error, turn)) throw error
      cause = error
    }
    const pause = patience.retryMs[tries]
    if (pause === undefined) throw cause ?? endless()
    onBreak()
    // Not all who lose a process at once are to be at the next at once.
    await wait(pause * (0.5 + Math.random()), undefined, { signal })
  }
}

function endless(): Refused {
  const message = 'The stream ended again and again, before its turn did.'
  return new Refused({ error: { code: 'unreachable', message, type: 'server_error', param: null, request_id: null } })
}

/** Reads a turn that runs, or ran. */
export function readTurn(client: Client, turn: string): Open {
  return (init) => client.open('GET', `/api/v1/turns/${encodeURIComponent(turn)}/stream`, init)
}

/** Nobody answered, the line broke or fell silent; or the process is in trouble while a turn runs, which will be over one day. */
function mayPass(error: unknown, turn: string | undefined): boolean {
  if (error instanceof Foreign) return false
  if (error instanceof Refused) return error.code === 'unreachable' || (turn !== undefined && error.isPassing)
  return error instanceof TypeError || (error instanceof Error && error.name === 'AbortError')
}

function watchSilence(silenceMs: number) {
  const silence = new AbortController()
  const timer = setTimeout(() => silence.abort(), silenceMs)
  return {
    signal: silence.signal,
    async *hear(body: AsyncIterable<Uint8Array>) {
      for await (const bytes of body) {
        timer.refresh()
        yield bytes
      }
    },
    [Symbol.dispose]: () => clearTimeout(timer),
  }
}
