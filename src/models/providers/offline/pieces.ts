/** What the offline model counts as a token: the beginning of a word with the space before it, or more of the word. */
const PIECE = /\s*[\p{L}\p{N}]{1,6}|\s*[^\p{L}\p{N}\s]|\s+/gu

export function piecesOf(text: string): string[] {
  return text.match(PIECE) ?? []
}

export function countPieces(value: unknown): number {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '')
  return text.match(PIECE)?.length ?? 0
}
