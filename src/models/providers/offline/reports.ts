/** What came of one action of an earlier turn. */
export interface Report {
  tool: string
  status: string
  output: string
}

/**
 * Tells a report of late results from what the user says: after a line in brackets, a line of JSON for each result. What
 * follows those is the user's.
 */
export function splitReport(text: string): { reports: readonly Report[]; said: string } {
  if (!text.startsWith('[')) return { reports: [], said: text }
  const [, ...lines] = text.split('\n')
  const reports: Report[] = []
  for (const line of lines) {
    const report = reportIn(line)
    if (!report) break
    reports.push(report)
  }
  return reports.length === 0
    ? { reports, said: text }
    : { reports, said: lines.slice(reports.length).join('\n').trimStart() }
}

function reportIn(line: string): Report | undefined {
  try {
    const { action, status, output = '' }: Record<string, unknown> = JSON.parse(line)
    if (typeof action !== 'string' || typeof status !== 'string' || typeof output !== 'string') return undefined
    return { tool: action, status, output }
  } catch {
    return undefined
  }
}
