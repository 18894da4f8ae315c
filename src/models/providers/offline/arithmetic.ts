const OPERATORS: readonly [RegExp, string][] = [
  [/\bplus\b/gi, '+'],
  [/\bminus\b/gi, '-'],
  [/\btimes\b|\bmultiplied by\b|×|(?<=\d\s*)x(?=\s*\d)/gi, '*'],
  [/\bdivided by\b|÷/gi, '/'],
]
const EXPRESSION = /[-(]{0,9}\d[\d.]{0,30}\){0,9}(?:\s{0,3}(?:\*\*|[-+*/^%])\s{0,3}[-(]{0,9}\d[\d.]{0,30}\){0,9})+/

/** The first arithmetic expression in a text, its operators as signs: "what is 2 plus 3?" gives `2 + 3`. */
export function findArithmetic(words: string): string | undefined {
  const signs = OPERATORS.reduce((text, [word, sign]) => text.replace(word, sign), words)
  return EXPRESSION.exec(signs)?.[0]
}
