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

/** How the provider signs its chunks. */
export interface Wire {
  id: string
  created: number
  model: string
}

/** Tokens as the provider counts them; `cached` is the part of `prompt` that it read from its cache. */
export interface Usage {
  prompt: number
  cached: number
  completion: number
}

export type Fields = Readonly<Record<string, unknown>>

/** Undefined for anything but a JSON object. */
export function parseEvent(data: string): ChunkEvent | undefined {
  try {
    const event: unknown = JSON.parse(data)
    return isFields(event) ? event : undefined
  } catch {
    return undefined
  }
}

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

/** Whether an event has no other effect than to show the text in its `content`. */
export function isOnlyContent(event: ChunkEvent): boolean {
  const choice = firstChoice(event)
  const delta = choice?.delta
  if (!choice || !isFields(delta) || isFields(event.usage) || errorOf(event) !== undefined) return false
  const callsTools = Array.isArray(delta.tool_calls) && delta.tool_calls.length > 0
  const shows = textOf(delta.content) !== '' && textOf(delta.refusal) === ''
  return shows && !callsTools && !isHiddenProgress(delta) && typeof choice.finish_reason !== 'string'
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
  // Nearly every frame is one line of data.
  const lineEnd = frame.length - 2
  if (frame.startsWith('data: ') && frame.endsWith('\n\n') && frame.indexOf('\n') === lineEnd) {
    return frame.slice(6, frame[lineEnd - 1] === '\r' ? lineEnd - 1 : lineEnd)
  }
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

export function hasChoices(event: ChunkEvent): boolean {
  return Array.isArray(event.choices) && event.choices.length > 0
}

export function wireOf(event: ChunkEvent): Wire {
  const created = typeof event.created === 'number' ? event.created : 0
  return { id: String(event.id), created, model: typeof event.model === 'string' ? event.model : '' }
}

export function usageOf(usage: Fields): Usage {
  const details = isFields(usage.prompt_tokens_details) ? usage.prompt_tokens_details : {}
  return {
    prompt: count(usage.prompt_tokens),
    cached: count(details.cached_tokens),
    completion: count(usage.completion_tokens),
  }
}

function count(value: unknown): number {
  return typeof value === 'number' && value >= 0 && Number.isFinite(value) ? Math.round(value) : 0
}
