const FACT = /\bmy ([\w' ]{1,40}?) (?:is|are|was) ([^.!?,;\n]{1,100})/gi
const NAME = /\b(?:i am|i'm|call me|my name is) (\p{Lu}[\p{L}'-]*)/giu
const IDLE_WORDS = new Set(
  'about also been could does from have here just know like more said some tell that their them then there these they this what when where which will with would your yours you'.split(
    ' ',
  ),
)

/** The user's name, as last given; undefined when it was not. */
export function nameOf(sayings: readonly string[]): string | undefined {
  const names = sayings.flatMap((saying) => [...saying.matchAll(NAME)].map((match) => match[1] ?? ''))
  return names.findLast((name) => /^\p{Lu}/u.test(name))
}

/** What the user said of something of theirs (`my <thing> is …`), as last said. */
export function factOf(sayings: readonly string[], thing: string): string | undefined {
  const wanted = thing.toLowerCase()
  const facts = sayings.flatMap((saying) => [...saying.matchAll(FACT)])
  return facts.findLast((fact) => fact[1]?.toLowerCase() === wanted)?.[2]?.trim()
}

/** The last fact that one saying states. */
export function statedFact(saying: string): { thing: string; value: string } | undefined {
  const fact = [...saying.matchAll(FACT)].at(-1)
  return fact?.[1] && fact[2] ? { thing: fact[1].toLowerCase(), value: fact[2].trim() } : undefined
}

/** The statement, of those made earlier, that shares most words with a question; undefined when none shares any. */
export function related(sayings: readonly string[], question: string): string | undefined {
  const wanted = contentWords(question)
  let best: { saying: string; shared: number } | undefined
  for (const saying of sayings) {
    if (saying.trim().endsWith('?')) continue
    const shared = contentWords(saying).intersection(wanted).size
    if (shared > 0 && shared >= (best?.shared ?? 0)) best = { saying, shared }
  }
  return best?.saying
}

function contentWords(text: string): Set<string> {
  const words = text.toLowerCase().match(/\p{L}[\p{L}\p{N}]{3,}/gu) ?? []
  return new Set(words.filter((word) => !IDLE_WORDS.has(word)))
}
