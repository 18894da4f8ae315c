/** How a continuation joins the visible text: start over, or drop the first `skip` characters of what the model says. */
export type Join = { reset: true } | { reset: false; skip: number }

/** So much of the visible text may be said again before it is plain that the model starts afresh. */
const MAX_REPEATED = 400
/** An overlap this long is no coincidence, wherever it begins. */
const SURE_OVERLAP = 8
/** The same for an overlap that ends within a word. */
const SURE_WORD_PART = 3
/**
 * A beginning this long, the same as the visible text's, is a fresh start: within a word, where nothing else could begin;
 * within a sentence; and elsewhere, where a sentence may well begin as the first one did.
 */
const AFRESH_IN_WORD = 8
const AFRESH_IN_SENTENCE = 12
const AFRESH = 24

/**
 * How the output of a model that was told to go on joins the visible text: what overlaps is dropped; an output that
 * begins as the visible text began is a fresh start. Undefined while more of the output could still decide otherwise:
 * so long the output has to be held back. `ended`: there will be no more.
 *
 * White space at the seam counts once. An overlap counts if it has a letter (closing brackets and table cells come again
 * without being repetitions) and begins with a word, is long, or is all that was said. What is held back occurs in the
 * visible text, so it is never longer than that.
 */
export function joinInstructed(visible: string, output: string, ended: boolean): Join | undefined {
  const said = visible.trimEnd()
  const space = visible.slice(said.length)
  const heard = output.trimStart()
  const lead = output.length - heard.length
  if (heard === '') return ended || output.length >= MAX_REPEATED ? joinSpace(space, output, 0, true) : undefined
  if (!ended && said.includes(heard)) {
    const allAgain = heard.length >= MAX_REPEATED && heard.length < said.length && said.startsWith(heard)
    return allAgain ? { reset: true } : undefined
  }
  const overlap = longestOverlap(said, heard)
  const between = space + output.slice(0, lead)
  if (startsAfresh(said, between, heard, overlap)) return { reset: true }
  return joinSpace(space, output, overlap === 0 ? 0 : lead + overlap, ended)
}

/** How the output of a model that continues a given prefix joins it: the white space that was not sent is not repeated. */
export function joinPrefill(visible: string, output: string, ended: boolean): Join | undefined {
  return joinSpace(visible.slice(visible.trimEnd().length), output, 0, ended)
}

/** Of the white space that ends the visible text, what the output repeats from `from` on is dropped, too. */
function joinSpace(space: string, output: string, from: number, ended: boolean): Join | undefined {
  const same = commonPrefix(space, output.slice(from))
  const undecided = same < space.length && from + same === output.length
  return undecided && !ended ? undefined : { reset: false, skip: from + same }
}

function startsAfresh(said: string, between: string, heard: string, overlap: number): boolean {
  const beginning = said.trimStart()
  const same = commonPrefix(beginning, heard)
  if (same <= overlap) return false
  const sentenceEnds = between.includes('\n') || /[.!?:…。！？：]["'”’»)\]*_]{0,3}$/u.test(said.slice(-4))
  if (!sentenceEnds) return same >= (between === '' ? AFRESH_IN_WORD : AFRESH_IN_SENTENCE)
  // Lists, tables and code begin many lines alike: there the first line has to come again as a whole.
  const firstLine = `${beginning}${between}`.indexOf('\n')
  return same >= Math.max(AFRESH, firstLine + 1)
}

/** Length of the longest acceptable beginning of `heard` that ends `said`. */
function longestOverlap(said: string, heard: string): number {
  const borders = borderTable(heard)
  const tail = said.slice(-heard.length)
  let matched = 0
  for (let at = 0; at < tail.length; at++) {
    while (matched > 0 && heard[matched] !== tail[at]) matched = borders[matched - 1] ?? 0
    if (heard[matched] === tail[at]) matched += 1
  }
  while (matched > 0 && !isRepetition(said, heard, matched)) matched = borders[matched - 1] ?? 0
  return matched
}

/** For each prefix the length of its longest proper border (the failure function of Knuth, Morris and Pratt, 1977). */
function borderTable(text: string): Int32Array {
  const borders = new Int32Array(text.length)
  for (let at = 1, border = 0; at < text.length; at++) {
    while (border > 0 && text[border] !== text[at]) border = borders[border - 1] ?? 0
    if (text[border] === text[at]) border += 1
    borders[at] = border
  }
  return borders
}

function isRepetition(said: string, heard: string, length: number): boolean {
  const overlap = heard.slice(0, length)
  if (!/\p{L}/u.test(overlap)) return false
  if (length >= SURE_OVERLAP || length === said.length) return true
  const withinWordBefore =
    /[\p{L}\p{N}_]$/u.test(said.slice(-length - 2, -length)) && /^[\p{L}\p{N}_]/u.test(overlap.slice(0, 2))
  const withinWordAfter =
    /[\p{L}\p{N}_]$/u.test(overlap.slice(-2)) && /^[\p{L}\p{N}_]/u.test(heard.slice(length, length + 2))
  return !withinWordBefore && (!withinWordAfter || length >= SURE_WORD_PART)
}

function commonPrefix(one: string, other: string): number {
  let length = 0
  while (length < one.length && length < other.length && one[length] === other[length]) length += 1
  return length
}
