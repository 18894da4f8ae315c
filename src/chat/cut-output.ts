/** What an action answered, at most `limit` characters of it; what is cut is told of. */
export function cutOutput(output: string, limit: number): string {
  return output.length <= limit
    ? output
    : `${output.slice(0, limit).toWellFormed()}\n[cut off here: the result has ${output.length} characters]`
}
