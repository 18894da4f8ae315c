import type { Gate } from './parts.ts'

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map((_, at) => (at === 0 ? ':--' : '--:'))), ...rows.map(line)].join('\n')
}

/** Three digits that count. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return '–'
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2
  return value.toFixed(digits)
}

export function atMost(what: string, target: string, value: number, limit: number, unit: string): Gate {
  return { what, target, limit: `≤ ${limit}${unit}`, measured: `${figure(value)}${unit}`, passed: value <= limit }
}

export function atLeast(what: string, target: string, value: number, limit: number, unit: string): Gate {
  return { what, target, limit: `≥ ${limit}${unit}`, measured: `${figure(value)}${unit}`, passed: value >= limit }
}

export function gateTable(gates: readonly Gate[]): string {
  return table(
    ['gate', 'target', 'limit', 'measured', ''],
    gates.map(({ what, target, limit, measured, passed }) => [what, target, limit, measured, passed ? 'pass' : 'FAIL']),
  )
}
