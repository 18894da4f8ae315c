/** What is wrong at one place of a config document. */
export interface Fault {
  path: readonly (string | number)[]
  /** Goes on from the path: "must be a string", "no route …". Never shows secrets, so no values but names. */
  message: string
}

/** A fault with its place in the file. Line and column count from 1; of what is missing, they are the parent's. */
export interface LocatedFault {
  /** Segments joined by dots; empty for the document as a whole. */
  path: string
  line: number
  column: number
  message: string
}

/** As compilers print it, so that terminals and editors can jump there. */
export function describeFault(file: string, { path, line, column, message }: LocatedFault): string {
  return `${file}:${line}:${column} ${path === '' ? message : `${path}: ${message}`}`
}
