import type { ChatMessage } from '../../answer.ts'
import { answerInWords } from './answers.ts'
import { fillSchema } from './arguments.ts'
import { readPrompt } from './prompt.ts'
import { planCalls, readTools } from './tools.ts'

/** The answer to one request, before it is cut into pieces. */
export interface Reply {
  text: string
  calls: readonly { id: string; name: string; arguments: string }[]
}

/** The offline model itself: the same request gets the same reply. `body` is a chat completion request. */
export function replyTo(body: Readonly<Record<string, unknown>>): Reply {
  const prompt = readPrompt(Array.isArray(body.messages) ? (body.messages as ChatMessage[]) : [])
  const tools = readTools(body.tools)
  const planned = prompt.prefix ? [] : planCalls(prompt, tools, body.tool_choice)
  if (planned.length > 0) {
    return { text: '', calls: planned.map((call, index) => ({ id: `call_${prompt.length}_${index}`, ...call })) }
  }
  const words = answerInWords(prompt, tools)
  return { text: continued(prompt.prefix, formatted(words, body.response_format)), calls: [] }
}

/** A text that another model began is not ours to guess on: what we have to say follows in a sentence of its own. */
function continued(prefix: string, text: string): string {
  if (text.startsWith(prefix)) return text.slice(prefix.length)
  return `${/\s$/.test(prefix) ? '' : ' '}… ${text}`
}

function formatted(words: string, format: unknown): string {
  const { type, json_schema } = (format ?? {}) as { type?: unknown; json_schema?: { schema?: unknown } }
  if (type === 'json_object') return JSON.stringify({ answer: words, model: 'offline' })
  if (type === 'json_schema') return JSON.stringify(fillSchema(json_schema?.schema, words))
  return words
}
