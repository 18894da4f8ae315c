/** A chat completion chunk, as far as the reader looks; every field may be missing or of another type. */
export interface ChunkEvent {
  id?: unknown
  created?: unknown
  model?: unknown
  object?: unknown
  error?: unknown
  usage?: unknown
  choices?: unknown
}

export type Fields = Readonly<Record<string, unknown>>

/** The first choice of a chunk; further ones (`n` > 1) are not read. */
export function firstChoice(event: ChunkEvent): Fields | undefined {
  if (!Array.isArray(event.choices)) return undefined
  return event.choices.find((choice) => isFields(choice) && (choice.index ?? 0) === 0)
}

/** What the model shows, of one delta: its content, or its refusal in the place of content. */
export function shownText(delta: Fields): string {
  return textOf(delta.content) + textOf(delta.refusal)
}

/** Whether a delta that shows nothing is progress all the same: reasoning, or the old form of a tool call. */
export function isHiddenProgress(delta: Fields): boolean {
  return textOf(delta.reasoning_content) !== '' || textOf(delta.reasoning) !== '' || isFields(delta.function_call)
}

/** What went wrong, when the event says so instead of going on. */
export function errorOf(event: ChunkEvent): string | undefined {
  const error = event.object === 'error' ? event : event.error
  if (!error) return undefined
  return (isFields(error) && textOf(error.message)) || textOf(error) || 'The provider ended its stream with an error.'
}

/**
 * The `data` of one frame, its lines joined; undefined when it has none (comments, other fields, blank lines).
 * Lines end with LF or CRLF (https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream;
 * a CR alone, which no provider sends, is not taken as an end of line).
 */
export function frameData(frame: string): string | undefined {
  let data: string | undefined
  for (const ended of frame.split('\n')) {
    const line = ended.endsWith('\r') ? ended.slice(0, -1) : ended
    if (line !== 'data' && !line.startsWith('data:')) continue
    const value = line.slice(line.startsWith('data: ') ? 6 : 5)
    data = data === undefined ? value : `${data}\n${value}`
  }
  return data
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
