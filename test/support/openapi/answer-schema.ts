/** Where a document has the schema of an operation's JSON answer, as a fragment to compile. */
export function answerSchema(method: string, path: string, status: number): string {
  const pointer = [
    'paths',
    path,
    method.toLowerCase(),
    'responses',
    `${status}`,
    'content',
    'application/json',
    'schema',
  ]
  const escaped = pointer.map((part) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1')))
  return `#/${escaped.join('/')}`
}
