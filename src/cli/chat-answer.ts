import { setTimeout as wait } from 'node:timers/promises'
import type { RunView } from '#actions/actions.ts'
import type { Conversation } from '#conversations/conversations.ts'
import { Approvals } from './chat-approvals.ts'
import { followTurn, type LoggedEvent, type Patience, readTurn } from './chat-stream.ts'
import { ChatView } from './chat-view.ts'
import type { Call } from './command.ts'
import { Cancelled, Refused } from './faults.ts'

/** What is answered: a turn that `open` begins or takes up, behind `after`. */
export interface Asked {
  open: Parameters<typeof followTurn>[1]
  after?: string
  patience?: Patience
}

/**
 * Shows an answer to its end, with what is reported later of the runs that were decided on here. Rejects with Refused where it
 * failed, and with Cancelled where Ctrl-C ended it: once cancels the turn, twice leaves it.
 */
export async function showAnswer(call: Call, asked: Asked): Promise<void> {
  const settled = await showTurn(call, asked)
  const latest = settled.at(-1)
  if (latest?.conversation) await showReport(call, latest.conversation, latest)
}

/** Gives the runs that were decided on here, and settled after the turn. */
async function showTurn(call: Call, { open, after, patience }: Asked): Promise<RunView[]> {
  const { client, host } = call
  const view = new ChatView(host, call.flag('json'))
  const leaving = new AbortController()
  const signal = AbortSignal.any([host.signal, leaving.signal])
  const approvals = new Approvals({ client, host, view, signal })
  let last: LoggedEvent | undefined
  let isLost = false
  let isStopping = false

  function cancel(turn: string): void {
    client.ask('POST', `/api/v1/turns/${turn}/cancel`, { signal }).catch((error) => {
      if (!signal.aborted && error.code !== 'turn_finished') view.aside(error.message)
    })
  }

  const giveBack = host.onInterrupt(() => {
    if (isStopping || isLost || isOver(last)) return leaving.abort()
    isStopping = true
    if (last) cancel(last.turn)
  })
  const onBreak = () => {
    if (!isLost) view.lost()
    isLost = true
  }
  try {
    for await (const event of followTurn(client, open, { signal, onBreak, ...(patience && { patience }) }, after)) {
      isLost = false
      if (!last && isStopping) cancel(event.turn)
      last = event
      view.show(event)
      if (event.type === 'run') approvals.hear(JSON.parse(event.data))
      if (event.type === 'turn.failed') throw new Refused(JSON.parse(event.data))
    }
    if (last?.type === 'turn.cancelled') throw new Cancelled()
    view.end()
    const settled = await approvals.rest()
    if (leaving.signal.aborted) throw new Cancelled()
    return settled
  } catch (error) {
    view.end()
    if (last && !isOver(last)) view.aside(`The turn goes on. To take it up again: parley chat --resume ${last.id}`)
    throw leaving.signal.aborted ? new Cancelled() : error
  } finally {
    approvals.withdraw()
    giveBack()
  }
}

function isOver(last: LoggedEvent | undefined): boolean {
  return last !== undefined && /^turn\.(completed|failed|cancelled)$/.test(last.type)
}

const LOOK_MS = 500
const LOOKS = 20

/** What came of a run after its turn is told by a turn of its own, soon. */
async function showReport(call: Call, conversation: string, { settledAt }: RunView): Promise<void> {
  const { client, host } = call
  const path = `/api/v1/conversations/${conversation}`
  for (let looks = 0; looks < LOOKS; looks += 1) {
    const { body } = await client.ask<Conversation>('GET', path)
    const isTold = settledAt !== null && body.updatedAt >= settledAt
    const turn = body.liveTurn ?? (isTold ? await lastTurn(call, path, body.messages) : undefined)
    if (turn) return showAnswer(call, { open: readTurn(client, turn) })
    await wait(LOOK_MS, undefined, { signal: host.signal })
  }
}

async function lastTurn({ client }: Call, path: string, messages: number): Promise<string | undefined> {
  const after = Math.max(-1, messages - 10)
  const { body } = await client.ask<{ items: { turn: string }[] }>('GET', `${path}/messages?after=${after}&limit=100`)
  return body.items.at(-1)?.turn
}
