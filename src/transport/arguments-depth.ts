import { ParleyError } from '#errors.ts'

/** Refuses what is nested so deeply that who walks through it later could run out of stack; `most` levels will do. */
export function checkDepth(value: unknown, most: number, param: string): void {
  let level = [value]
  for (let depth = 0; ; depth++) {
    const containers = level.filter((item) => typeof item === 'object' && item !== null)
    if (containers.length === 0) return
    if (depth === most) {
      throw new ParleyError('invalid_request', { message: `\`${param}\` is nested more than ${most} deep.`, param })
    }
    level = containers.flatMap((container) => Object.values(container))
  }
}
