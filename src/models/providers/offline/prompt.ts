import type { ChatMessage } from '../../answer.ts'
import { type Report, splitReport } from './reports.ts'

/** No more of a text is looked at than this: the offline model answers chat, not books. */
const MAX_READ = 4_000
const MAX_REMEMBERED = 200

/** A chat completion request as the offline model reads it. */
export interface Prompt {
  instructions: string
  /** What the user says now. */
  said: string
  /** What the user said before, oldest first. */
  before: readonly string[]
  images: number
  /** The beginning of the answer, when the request ends with one to be continued. */
  prefix: string
  /** Results of tools, when the request ends with them. */
  results: readonly { tool: string; content: string }[]
  /** What came of actions of an earlier turn, when the request ends with a report of that and nothing the user said. */
  reports: readonly Report[]
  /** How many messages there are: keeps the ids of tool calls apart within a conversation. */
  length: number
}

export function readPrompt(messages: readonly ChatMessage[]): Prompt {
  const users = messages.filter(({ role }) => role === 'user')
  const last = messages.at(-1)
  const current = users.at(-1)
  const { reports, said } = splitReport(current ? textOf(current) : '')
  const instructions = messages.filter(({ role }) => role === 'system' || role === 'developer').map(textOf)
  return {
    instructions: instructions.join('\n').slice(0, MAX_READ),
    said: said.trim().slice(0, MAX_READ),
    before: users.slice(-MAX_REMEMBERED - 1, -1).flatMap((message) => {
      const own = splitReport(textOf(message))
      return own.said === '' && own.reports.length > 0 ? [] : own.said.slice(0, MAX_READ)
    }),
    images:
      current && Array.isArray(current.content)
        ? current.content.filter((part) => part?.type === 'image_url').length
        : 0,
    prefix: last?.role === 'assistant' && !last.tool_calls?.length ? textOf(last) : '',
    results: last?.role === 'tool' ? resultsAtEnd(messages) : [],
    reports: last === current && said.trim() === '' ? reports : [],
    length: messages.length,
  }
}

function textOf({ content }: ChatMessage): string {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) return ''
  return content.map((part) => (typeof part?.text === 'string' ? part.text : '')).join('\n')
}

function resultsAtEnd(messages: readonly ChatMessage[]): Prompt['results'] {
  const start = messages.findLastIndex(({ role }) => role !== 'tool') + 1
  const calls = messages[start - 1]?.tool_calls ?? []
  return messages.slice(start).map((message) => ({
    tool: calls.find(({ id }) => id === message.tool_call_id)?.function.name ?? message.name ?? 'the tool',
    content: textOf(message).slice(0, MAX_READ),
  }))
}
