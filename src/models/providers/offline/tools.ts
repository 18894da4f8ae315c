import { fillArguments } from './arguments.ts'
import { findArithmetic } from './arithmetic.ts'
import type { Prompt } from './prompt.ts'
import { askedAt } from './verbs.ts'

/** A function that is offered, as far as the offline model looks. */
export interface Tool {
  name: string
  description: string
  parameters: unknown
}

export interface PlannedCall {
  name: string
  /** Usually JSON; what the user dictated is passed on as it stands. */
  arguments: string
}

const MAX_CALLS = 32
const ABOUT_TIME =
  /\bwhat time\b|\bthe (?:time|date|hour)\b|\b(?:current|local) time\b|\btime (?:is it|in|now|zone)\b|\btimezone\b|\btoday\b/i

/** The functions a request offers; entries of other kinds or shapes are passed over. */
export function readTools(tools: unknown): Tool[] {
  if (!Array.isArray(tools)) return []
  return tools.flatMap((tool) => {
    const offered = tool?.function
    if (typeof offered?.name !== 'string') return []
    return [{ name: offered.name, description: String(offered.description ?? ''), parameters: offered.parameters }]
  })
}

/** The calls that a request asks for: dictated, demanded by `tool_choice`, or understood from the user's words. */
export function planCalls(prompt: Prompt, tools: readonly Tool[], choice: unknown): PlannedCall[] {
  if (tools.length === 0 || choice === 'none' || prompt.results.length > 0) return []
  const named = tools.find(({ name }) => name === chosenName(choice))
  const dictated = dictatedCalls(prompt.said, named ? [named] : tools)
  if (dictated.length > 0) return dictated
  if (named) return [call(named, prompt.said)]
  const understood = clauses(prompt.said).flatMap((clause) => {
    const tool = toolFor(clause, tools)
    return tool ? [{ tool, clause }] : []
  })
  const [first, second] = understood
  if (first && !second) return [call(first.tool, prompt.said)]
  if (!first && choice === 'required') return tools.slice(0, 1).map((tool) => call(tool, prompt.said))
  return withoutRepeats(understood.map(({ tool, clause }) => call(tool, clause))).slice(0, MAX_CALLS)
}

/** `call NAME with {…}`, any number of times. What is between the braces is passed on unread, so it may be wrong. */
function dictatedCalls(said: string, tools: readonly Tool[]): PlannedCall[] {
  const calls: PlannedCall[] = []
  for (const match of said.matchAll(/\b(?:call|use|run) [`"]?([\w-]{1,64})[`"]?(?: (?:with|using)\b)?/gi)) {
    const tool = tools.find(({ name }) => name.toLowerCase() === match[1]?.toLowerCase())
    if (!tool || calls.length >= MAX_CALLS) continue
    const rest = said.slice(match.index + match[0].length).trimStart()
    calls.push(rest.startsWith('{') ? { name: tool.name, arguments: leadingObject(rest) } : call(tool, rest))
  }
  return calls
}

/** The shortest beginning that is JSON; else all up to the next call or the end. */
function leadingObject(text: string): string {
  for (let end = text.indexOf('}'); end >= 0; end = text.indexOf('}', end + 1)) {
    const object = text.slice(0, end + 1)
    if (isJson(object)) return object
  }
  return text.split(/\s+and (?:call|use|run) /i)[0] ?? text
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** The function that a clause asks for first; of two that it asks for at once, the one that is offered first. */
function toolFor(clause: string, tools: readonly Tool[]): Tool | undefined {
  let best: { tool: Tool; at: number } | undefined
  for (const tool of tools) {
    const at = placeOf(tool, clause)
    if (at >= 0 && (best === undefined || at < best.at)) best = { tool, at }
  }
  return best?.tool
}

/** Where a clause asks for it; -1 when it does not. */
function placeOf({ name, description }: Tool, clause: string): number {
  const about = `${name} ${description}`
  const time = ABOUT_TIME.exec(clause)
  if (time && /\btimes?\b|clock|date/i.test(about.replaceAll('_', ' '))) return time.index
  if (/calculat|arithmetic|\bmath|expression/i.test(about) && findArithmetic(clause)) return clause.search(/\d/)
  return askedAt(name, clause)
}

/** A user may ask for two things at once. */
function clauses(said: string): string[] {
  return said.split(/(?<=[?!;])\s+|(?<=[a-z]\.)\s+|\sand (?:also )?/i).filter((clause) => clause.trim() !== '')
}

function call(tool: Tool, words: string): PlannedCall {
  return { name: tool.name, arguments: JSON.stringify(fillArguments(tool.parameters, words)) }
}

function withoutRepeats(calls: readonly PlannedCall[]): PlannedCall[] {
  return [...new Map(calls.map((planned) => [`${planned.name} ${planned.arguments}`, planned])).values()]
}

function chosenName(choice: unknown): string | undefined {
  const chosen = typeof choice === 'object' && choice !== null ? (choice as { function?: { name?: unknown } }) : {}
  return typeof chosen.function?.name === 'string' ? chosen.function.name : undefined
}
