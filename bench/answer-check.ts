import type { Dialect } from './jobs.ts'
import { answerText, tokensIn } from './steering.ts'

/** How the reader left the stream: at its end, by a cancel command, or in the middle. */
export type Leaving = 'ended' | 'cancelled' | 'left'

interface Received {
  text: string
  /** How the stream says that it is over; undefined when it does not. */
  end: string | undefined
  /** Ids of events that did not come in order, without a gap. */
  displaced: number
}

/**
 * What is wrong with a stream, by kind, empty when nothing is. Every event is parsed in full here, after the clock has stopped,
 * and its text compared to the last character with what the upstream sent.
 */
export function faultsOf(dialect: Dialect, bytes: Buffer, tokens: number, leaving: Leaving): Record<string, number> {
  const { text, end, displaced } = dialect === 'turns' ? readTurn(bytes) : readCompletion(bytes)
  const expected = answerText(tokens)
  const faults: Record<string, number> = {}
  const complete = leaving === 'ended'
  if (complete ? text !== expected : !expected.startsWith(text)) {
    const found = tokensIn(text)
    const distinct = new Set(found)
    faults.corrupt = 1
    faults.missing = (complete ? tokens : Math.max(-1, ...found) + 1) - distinct.size
    faults.doubled = found.length - distinct.size
  }
  if (displaced > 0) faults.displaced = displaced
  if (!ENDINGS[leaving].includes(end)) faults[`ends with ${end}`] = 1
  return faults
}

const ENDINGS: Record<Leaving, readonly (string | undefined)[]> = {
  ended: ['[DONE]', 'turn.completed'],
  cancelled: ['turn.cancelled'],
  left: [undefined],
}

function readCompletion(bytes: Buffer): Received {
  let text = ''
  let end: string | undefined
  for (const { data } of eventsOf(bytes)) {
    if (data === '[DONE]') end = data
    else {
      const { choices, error } = JSON.parse(data)
      if (error) end = `error ${error.code}`
      text += choices?.[0]?.delta?.content ?? ''
    }
  }
  return { text, end, displaced: 0 }
}

function readTurn(bytes: Buffer): Received {
  let text = ''
  let end: string | undefined
  let displaced = 0
  let position = 0
  for (const { id, type, data } of eventsOf(bytes)) {
    if (Number(id?.split('.').at(-1)) !== position++) displaced++
    if (type === 'token') text += JSON.parse(data).text
    if (/^turn\.(completed|failed|cancelled)$/.test(type)) end = type
    if (type === 'notice') end = `notice ${JSON.parse(data).code}`
  }
  return { text, end, displaced }
}

function eventsOf(bytes: Buffer): { id: string | undefined; type: string; data: string }[] {
  // A reader that left has half an event at its end.
  const frames = bytes.toString().split('\n\n').slice(0, -1)
  return frames
    .map((frame) => {
      const field = (name: string) => new RegExp(`^${name}: ?(.*)$`, 'm').exec(frame)?.[1]
      return { id: field('id'), type: field('event') ?? 'message', data: field('data') ?? '' }
    })
    .filter(({ data }) => data !== '')
}
