import { CorrectableError, type Executor } from '../executor.ts'
import { evaluate } from './expression.ts'

/** `{ expression }` → `{ result }`. */
export const arithmetic: Executor = ({ expression }) => {
  if (typeof expression !== 'string') throw new CorrectableError('The argument "expression" has to be text.')
  return { result: rounded(evaluate(expression)) }
}

/** Without the last digits' noise of binary fractions: 15 significant digits, whole numbers as they are, no minus zero. */
function rounded(value: number): number {
  return (Number.isSafeInteger(value) ? value : Number(value.toPrecision(15))) + 0
}
