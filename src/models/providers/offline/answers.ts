import { factOf, nameOf, related, statedFact } from './memory.ts'
import type { Prompt } from './prompt.ts'
import { asFirstPerson, firstSentences, shortened, story } from './prose.ts'
import type { Report } from './reports.ts'
import type { Tool } from './tools.ts'

const MAX_WORDS = 5_000
const MAX_COUNT = 1_000
const WHO = "Parley's offline model"
const REAL_ONE =
  'To talk to a real model, set OPENAI_API_KEY, OPENAI_BASE_URL or AZURE_OPENAI_ENDPOINT and name the model in a config version.'

/** One way to answer, or undefined when it does not fit what was said. */
type Rule = (prompt: Prompt, tools: readonly Tool[]) => string | undefined

/** Tried in this order; the first that fits answers. */
const RULES: readonly Rule[] = [
  echo,
  countUp,
  tellStory,
  identity,
  summary,
  userName,
  ownFact,
  lastSaid,
  role,
  greeting,
  thanks,
  newFact,
  recollection,
]

/** What the offline model says in words. */
export function answerInWords(prompt: Prompt, tools: readonly Tool[]): string {
  if (prompt.results.length > 0) return prompt.results.map(fromResult).join(' ')
  if (prompt.reports.length > 0) return `About what you asked for earlier: ${prompt.reports.map(fromReport).join(' ')}`
  for (const rule of RULES) {
    const answer = rule(prompt, tools)
    if (answer !== undefined) return answer
  }
  return fallback(prompt)
}

function echo({ said }: Prompt): string | undefined {
  return /^(?:please )?(?:repeat|echo|say)(?: after me)?:?\s+["“]?([^"”]+)["”]?$/i.exec(said)?.[1]
}

function countUp({ said }: Prompt): string | undefined {
  const last = /\bcount (?:up )?to (\d{1,6})\b/i.exec(said)?.[1]
  if (!last) return undefined
  const count = Math.min(Number(last), MAX_COUNT)
  return Array.from({ length: count }, (_, index) => index + 1).join(', ')
}

function tellStory({ said }: Prompt): string | undefined {
  const words = /\b(\d{1,6})[- ]words?\b/i.exec(said)?.[1]
  if (words) return story(Math.min(Math.max(1, Number(words)), MAX_WORDS))
  return /\b(?:story|poem|essay|long (?:answer|text))\b/i.test(said) ? story(200) : undefined
}

function identity({ said, instructions }: Prompt): string | undefined {
  if (
    !/\b(?:who|what) are you\b|\bare you (?:a |an |the )?(?:real|human|ai|bot|model|offline)|\bwhich model\b|\bwhat model\b|\boffline\b/i.test(
      said,
    )
  ) {
    return undefined
  }
  const part = instructions ? ` Here I stand in for the specialist with this task: ${purpose(instructions)}` : ''
  return `I am ${WHO}: a small program within this process, not a language model.${part} ${REAL_ONE}`
}

function summary({ said, before }: Prompt): string | undefined {
  const asked = /^(?:please |can you |could you )?(?:summari[sz]e|sum up)\b[^:\n]*:?\s*([\s\S]*)/i.exec(said)
  if (!asked) return undefined
  const text = asked[1]?.trim()
  if (text) return `In short: ${firstSentences(text, 1)}`
  if (before.length === 0) return 'There is nothing to sum up yet.'
  return `So far you said: ${before
    .slice(-10)
    .map((saying) => `“${shortened(firstSentences(saying, 1), 120)}”`)
    .join(', ')}.`
}

function userName({ said, before }: Prompt): string | undefined {
  if (!/\bmy name\b[^.]*\?|\bwho am i\b/i.test(said)) return undefined
  const name = nameOf(before)
  return name ? `Your name is ${name}.` : 'You have not told me your name yet.'
}

function ownFact({ said, before }: Prompt): string | undefined {
  const thing = /\b(?:what|which|who|where|when|how)\b.*?\bmy ([\w' ]{1,40}?)\s*\?/i.exec(said)?.[1]
  if (!thing) return undefined
  const value = factOf(before, thing)
  return value && `Your ${thing} is ${value}, as you told me.`
}

function lastSaid({ said, before }: Prompt): string | undefined {
  if (!/\bwhat did i (?:just )?(?:say|ask|tell)|\bmy (?:last|previous) (?:message|question)\b/i.test(said))
    return undefined
  const last = before.at(-1)
  return last ? `You said: “${shortened(last, 300)}”` : 'This is the first thing you say to me.'
}

function role({ said, instructions }: Prompt, tools: readonly Tool[]): string | undefined {
  if (!/\b(?:your (?:role|job|task|purpose)|what (?:can|do) you do|how can you help|help me with)\b/i.test(said))
    return undefined
  const task = instructions ? purpose(instructions) : 'I have no instructions.'
  const offered = tools.map(({ name, description }) => `${name} (${shortened(firstSentences(description, 1), 80)})`)
  const calls = offered.length > 0 ? ` I can call: ${offered.join(', ')}.` : ''
  return `${task}${calls} Mind that I am ${WHO}.`
}

function greeting({ said, before, instructions }: Prompt): string | undefined {
  if (!/^(?:hi|hello|hey|good (?:morning|day|afternoon|evening)|greetings|hallo|hola|salut|bonjour|ciao)\b/i.test(said))
    return undefined
  const name = nameOf([...before, said])
  const task = instructions ? ` ${purpose(instructions)}` : ''
  return `Hello${name ? `, ${name}` : ''}! I am ${WHO}.${task} What can I do for you?`
}

function thanks({ said }: Prompt): string | undefined {
  if (/^(?:thanks|thank you|many thanks|cheers)\b/i.test(said)) return 'You are welcome.'
  return /^(?:bye|goodbye|see you|farewell)\b/i.test(said) ? 'Goodbye!' : undefined
}

function newFact({ said }: Prompt): string | undefined {
  if (said.endsWith('?')) return undefined
  const fact = statedFact(said)
  if (fact && fact.thing !== 'name') return `Noted: your ${fact.thing} is ${fact.value}.`
  const name = nameOf([said])
  return name && `Nice to meet you, ${name}. I am ${WHO}.`
}

function recollection({ said, before }: Prompt): string | undefined {
  const saying = said.endsWith('?') ? related(before, said) : undefined
  return saying && `Earlier you said: “${shortened(saying, 300)}”`
}

function fallback({ said, images }: Prompt): string {
  const picture = images > 0 ? ` I cannot see the ${images === 1 ? 'image' : `${images} images`} you sent.` : ''
  const heard = said ? `You said: “${shortened(said, 300)}”.` : 'You said nothing.'
  return `${heard}${picture} I am ${WHO}, so I know only what you tell me. ${REAL_ONE}`
}

function purpose(instructions: string): string {
  return asFirstPerson(firstSentences(instructions, 2))
}

/** How an action ended that was still under way when its turn did. */
function fromReport({ tool, status, output }: Report): string {
  if (status === 'succeeded') return fromResult({ tool, content: output })
  return `${tool} ended as ${status}${output === '' ? '' : `: ${shortened(output, 300)}`}.`.replace(/[.!?]\.$/, '.')
}

/** A result in words: JSON is read out, anything else is quoted as it stands. */
function fromResult({ tool, content }: { tool: string; content: string }): string {
  const value = parsed(content)
  if (value === undefined) return fromNotice(tool, content) ?? `${tool} says: ${shortened(content, 1000)}`
  if (typeof value !== 'object' || value === null) return `${tool} gives ${String(value)}.`
  const entries = Object.entries(value)
  const [only] = entries
  if (only && entries.length === 1) return `${tool} gives ${inWords(only[1])}.`
  return `${tool} gives ${entries.map(([key, part]) => `${key} ${inWords(part)}`).join(', ')}.`
}

/** That it waits, or is under way: what we are told beside it is not for the user. */
function fromNotice(tool: string, content: string): string | undefined {
  if (!/^The action (?:has not been done yet|is under way)\b/.test(content)) return undefined
  return content.replace('The action', tool).replace(' Say so.', '').replace('; do not call it again', '')
}

function inWords(value: unknown): string {
  return shortened(typeof value === 'string' ? value : JSON.stringify(value), 300)
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
