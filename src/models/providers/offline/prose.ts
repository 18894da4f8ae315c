const OPENINGS = [
  'At first light',
  'Later that day',
  'Without a sound',
  'Far from the shore',
  'In the evening',
  'By chance',
]
const ACTORS = ['the keeper', 'a small boat', 'the old radio', 'her brother', 'the night train', 'a grey heron']
const DEEDS = [
  'carried the message',
  'waited for an answer',
  'crossed the bay',
  'counted the lights',
  'went on',
  'began anew',
]
const ENDINGS = [
  'and nobody noticed',
  'as it always had',
  'until the line held',
  'word after word',
  'and nothing was lost',
  'once more',
]

/** A text of exactly so many words, the same for the same number. */
export function story(words: number): string {
  const told: string[] = []
  for (let sentence = 0; told.length < words; sentence++) {
    const parts = [OPENINGS, ACTORS, DEEDS, ENDINGS].map(
      (list, place) => list[(sentence * (place + 1) + place) % list.length],
    )
    told.push(...`${parts.join(' ')}.`.split(' '))
  }
  const text = told.slice(0, words).join(' ')
  return text.endsWith('.') ? text : `${text}.`
}

export function firstSentences(text: string, count: number): string {
  const sentences =
    text
      .replace(/\s+/g, ' ')
      .trim()
      .match(/[^.!?]+[.!?]*/g) ?? []
  return sentences.slice(0, count).join('').trim()
}

/** Instructions are written to the model; told to the user, they speak of it: "You help" becomes "I help". */
export function asFirstPerson(instructions: string): string {
  return instructions
    .replace(/\byou are\b/gi, 'I am')
    .replace(/\byou're\b/gi, "I'm")
    .replace(/\byour\b/gi, 'my')
    .replace(/\byou\b/gi, 'I')
}

export function shortened(text: string, length: number): string {
  const line = text.replace(/\s+/g, ' ').trim()
  return line.length <= length ? line : `${line.slice(0, length - 1).trimEnd()}…`
}
