import type { LedgerEntry } from '#governance/ledger.ts'

const columns: readonly [string, (entry: LedgerEntry) => string | number | boolean][] = [
  ['at', ({ at }) => new Date(at).toISOString()],
  ['user', ({ user }) => user],
  ['groups', ({ groups }) => groups.join(' ')],
  ['specialist', ({ specialist }) => specialist],
  ['config', ({ config }) => config],
  ['arm', ({ arm }) => arm],
  ['model', ({ model }) => model],
  ['turn', ({ turn }) => turn],
  ['segment', ({ segment }) => segment],
  ['outcome', ({ outcome }) => outcome],
  ['estimated', ({ estimated }) => estimated],
  ['input_tokens', ({ inputTokens }) => inputTokens],
  ['output_tokens', ({ outputTokens }) => outputTokens],
  ['cost_usd', ({ costUsd }) => plain(costUsd)],
]

/** RFC 4180, a page at a time. */
export async function* usageCsv(pages: AsyncIterable<readonly LedgerEntry[]>): AsyncGenerator<string> {
  yield `${columns.map(([name]) => name).join(',')}\r\n`
  for await (const page of pages) {
    yield page.map((entry) => `${columns.map(([, of]) => cell(of(entry))).join(',')}\r\n`).join('')
  }
}

function cell(value: string | number | boolean): string {
  const text = String(value)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/** Without an exponent, which not every spreadsheet reads; all its digits. */
function plain(number: number): string {
  const [mantissa = '', exponent] = String(number).split('e')
  if (exponent === undefined) return mantissa
  const [whole = '', fraction = ''] = mantissa.split('.')
  const shift = Number(exponent)
  if (shift > 0) return `${whole}${fraction.padEnd(shift, '0')}`
  return `0.${'0'.repeat(-shift - 1)}${whole}${fraction}`
}
