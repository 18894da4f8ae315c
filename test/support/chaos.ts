import assert from 'node:assert/strict'
import { collect, nativeClient, textOf } from './native-client.ts'
import type { Replica } from './replica.ts'
import type { SseEvent } from './sse.ts'

/** One conversation with its running turn, and what its reader has seen so far. */
export interface Watched {
  conversation: string
  turn: string
  seen: SseEvent[]
  events: AsyncGenerator<SseEvent>
}

export async function beginTurns(
  replica: Replica,
  specialist: string,
  message: string,
  count: number,
): Promise<Watched[]> {
  const client = nativeClient(replica.url)
  return Promise.all(
    Array.from({ length: count }, async () => {
      const conversation = await client.conversation(specialist)
      const { turn, events } = await client.stream(conversation, message)
      return { conversation, turn, seen: [], events }
    }),
  )
}

/** Reads until so many tokens have come. */
export async function readSome(watched: Watched, tokens: number): Promise<void> {
  while (watched.seen.filter(({ type }) => type === 'token').length < tokens) {
    const { value, done } = await watched.events.next()
    if (done) return
    watched.seen.push(value)
  }
}

/** Reads until the connection is gone. */
export async function readUntilCut(watched: Watched): Promise<void> {
  try {
    for await (const event of watched.events) watched.seen.push(event)
  } catch {
    // The producer was killed: that is what the test is about.
  }
}

/** What a reader who comes back elsewhere is left with, checked against the rules of a turn that survives. */
export async function checkSurvival(replica: Replica, watched: Watched, answer: string): Promise<SseEvent[]> {
  const client = nativeClient(replica.url)
  const { turn, seen, conversation } = watched
  const lastId = seen.findLast(({ id }) => id !== undefined)?.id
  const rest = await collect(await client.resume(turn, lastId))
  const known = seen.filter(({ id }) => id !== undefined)
  const all = [...known, ...rest]
  assert.equal(all.at(-1)?.type, 'turn.completed', `turn ${turn} ended with ${JSON.stringify(all.at(-1))}`)
  assert.equal(textOf(all), answer)
  assert.deepEqual(
    all.map(({ id }) => id),
    all.map((_, position) => `${turn}.${position}`),
  )
  assert.equal(all.filter(({ type }) => type.startsWith('turn.') && type !== 'turn.started').length, 1)
  const whole = await collect(await client.resume(turn))
  assert.deepEqual(whole, all)
  const { body } = await client.call('GET', `/api/v1/conversations/${conversation}/messages`)
  const own = body.items.filter((message: { turn: string }) => message.turn === turn)
  assert.equal(own.filter(({ role }: { role: string }) => role === 'user').length, 1)
  assert.equal(own.at(-1).content, textOf(all.slice(all.findLastIndex(({ type }) => type === 'call') + 1)))
  return all
}
