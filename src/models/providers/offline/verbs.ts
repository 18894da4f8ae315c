/** What people say instead of the verb that functions are named after. */
const SAID_FOR: Readonly<Record<string, readonly string[]>> = {
  create: ['open', 'file', 'raise', 'make', 'add', 'log'],
  open: ['create', 'file', 'raise'],
  list: ['show', 'display'],
  get: ['show', 'fetch', 'read'],
  close: ['resolve', 'finish'],
  delete: ['remove'],
  restart: ['reboot', 'bounce'],
  page: ['alert', 'notify'],
  send: ['write'],
  post: ['publish', 'make', 'write'],
}
/** Verbs of functions that people ask for by a question: `get_weather` by "What is the weather in Bern?" */
const TELLING = new Set(['get', 'fetch', 'find', 'check', 'lookup', 'read'])
const QUESTION = /^(?:what|how|where|which)(?:['’]?s| is| are| will)?\s(?:be\s)?(?:the|my|our)\b/i
const POLITE =
  /^(?:please,?|now|then|also|kindly|(?:can|could|would|will) you|i (?:want|need) (?:you )?to|let'?s|go and)\s+/i

/**
 * Where in a clause a function named `verb_object` is asked for: every part of its name is among the words, as it stands or as
 * the plural of a word, and in place of the verb another may stand at the beginning. The index of the verb; -1 when it is not.
 */
export function askedAt(name: string, clause: string): number {
  const [verb, ...objects] = partsOf(name)
  if (verb === undefined || objects.length === 0) return -1
  const words = [...clause.toLowerCase().matchAll(/\p{L}+/gu)].map((match) => ({ word: match[0], index: match.index }))
  const has = (part: string) => words.some(({ word }) => begins(word, part))
  if (!objects.every(has)) return -1
  const exact = words.find(({ word }) => begins(word, verb))
  if (exact) return exact.index
  const start = clause.length - withoutCourtesy(clause).length
  const first = words.find(({ index }) => index >= start)
  if (TELLING.has(verb) && QUESTION.test(clause.slice(start))) return start
  const others = Object.hasOwn(SAID_FOR, verb) ? SAID_FOR[verb] : undefined
  return first && others?.includes(first.word) ? first.index : -1
}

function begins(word: string, part: string): boolean {
  return word.startsWith(part) || (part.endsWith('s') && word === part.slice(0, -1))
}

function partsOf(name: string): string[] {
  const words = name.replace(/([a-z])([A-Z])/g, '$1 $2').toLowerCase()
  return words.split(/[^a-z]+/).filter((part) => part !== '')
}

function withoutCourtesy(clause: string): string {
  let rest = clause.trimStart()
  while (POLITE.test(rest)) rest = rest.replace(POLITE, '')
  return rest
}
