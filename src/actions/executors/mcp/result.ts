import { AnswerLostError, ASK_FOR_LESS, CorrectableError } from '../executor.ts'

export const MAX_RESULT_BYTES = 262_144
const MAX_TOLD_LENGTH = 8192

export interface ToolContent {
  type: string
  text?: string
  mimeType?: string
  uri?: string
  resource?: { uri: string; text?: string; mimeType?: string }
}

export interface ToolResult {
  content?: readonly ToolContent[]
  structuredContent?: unknown
  isError?: boolean
}

/**
 * What the run answers: the structured content where there is one, else the texts, one per line; of pictures, sounds and
 * files, that they were there. Throws `CorrectableError` with the tool's own words when it failed, and `AnswerLostError` when it
 * answers more than `MAX_RESULT_BYTES` of JSON.
 */
export function answerOf({ content = [], structuredContent, isError }: ToolResult): unknown {
  const text = content.map(textOf).join('\n')
  if (isError) throw new CorrectableError(clipped(text) || 'The tool failed, and did not say why.')
  const answer = structuredContent === undefined ? text : structuredContent
  if (Buffer.byteLength(JSON.stringify(answer)) > MAX_RESULT_BYTES) throw tooLarge()
  return answer
}

export function tooLarge(): AnswerLostError {
  return new AnswerLostError(`The tool answered more than ${MAX_RESULT_BYTES} bytes. ${ASK_FOR_LESS}`)
}

/** Somebody else's words, kept to a length that leaves the model room for its own. */
export function clipped(text: string): string {
  return text.length > MAX_TOLD_LENGTH ? `${text.slice(0, MAX_TOLD_LENGTH)} …` : text
}

function textOf({ type, text, mimeType, uri, resource }: ToolContent): string {
  const found = text ?? resource?.text ?? uri
  return found ?? `[${[type, mimeType ?? resource?.mimeType ?? resource?.uri].filter(Boolean).join(' ')}]`
}
