import type { Change, ConfigDiff } from '#config/diff.ts'

const SIGNS = { added: '+', removed: '-', changed: '~' } as const
/** Words of what stays that are shown before and after a change. */
const NEAR = 6

/** One line for each change; texts by words, `[-gone-]` and `{+new+}`. */
export function renderDiff(diff: ConfigDiff): string {
  if (diff.identical) return `${diff.from} and ${diff.to} are the same.\n`
  return `${diff.changes.map((change) => `${renderChange(change)}\n`).join('')}${renderWeakenings(diff)}`
}

/** Empty when nothing is guarded less. */
export function renderWeakenings({ weakenings }: Pick<ConfigDiff, 'weakenings'>): string {
  if (weakenings.length === 0) return ''
  const lines = weakenings.map(({ path, message }) => `! ${path}: ${message}\n`)
  return `It guards less, so a second operator may have to agree (parley config approve):\n${lines.join('')}`
}

function renderChange({ kind, section, name, path, before, after, words }: Change): string {
  const where = `${SIGNS[kind]} ${[section, name, path].filter(Boolean).join('.')}`
  if (words) return `${where}\n    ${renderWords(words)}`
  if (path === '' && name !== '') return where
  const values = [before, after].filter((value) => value !== undefined).map((value) => short(JSON.stringify(value)))
  return values.length === 0 ? where : `${where}: ${values.join(' → ')}`
}

function renderWords(words: NonNullable<Change['words']>): string {
  const parts = words.map(({ kind, text }, index) => {
    if (kind === 'removed') return `[-${text}-]`
    if (kind === 'added') return `{+${text}+}`
    return around(text, index > 0, index < words.length - 1)
  })
  return parts.join('').replaceAll('\n', '\n    ')
}

/** The ends of a text that stays, next to what changes. */
function around(text: string, hasBefore: boolean, hasAfter: boolean): string {
  const pieces = text.split(/(?<=\s)(?=\S)/)
  const kept = (hasBefore ? NEAR : 0) + (hasAfter ? NEAR : 0)
  if (pieces.length <= kept + 1) return text
  const [head, tail] = [hasBefore ? pieces.slice(0, NEAR) : [], hasAfter ? pieces.slice(-NEAR) : []]
  return `${head.join('')}… ${tail.join('')}`
}

function short(text: string): string {
  return text.length <= 200 ? text : `${text.slice(0, 200)}…`
}
