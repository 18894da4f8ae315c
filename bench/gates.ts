import type { Mode } from './modes.ts'
import type { TargetName } from './targets.ts'

/** A limit for one metric of the chat bench: of its ratio to the bare pass-through of the same run, or of itself. */
export interface ChatGate {
  mode: Mode
  metric: string
  relation: 'ratio at most' | 'at most' | 'at least'
  limits: Partial<Record<TargetName, number>>
}

const limits = (v1: number, native: number) => ({
  'parley /v1': v1,
  'parley native SQLite': native,
  'parley native Redis': native,
})

export const CHAT_GATES: readonly ChatGate[] = [
  { mode: 'paced', metric: 'CPU µs/token', relation: 'ratio at most', limits: limits(1.3, 1.7) },
  { mode: 'dense', metric: 'CPU µs/token', relation: 'ratio at most', limits: limits(1.3, 1.7) },
  { mode: 'short', metric: 'CPU µs/request', relation: 'ratio at most', limits: limits(1.6, 1.7) },
  { mode: 'first token', metric: 'p50 ms', relation: 'ratio at most', limits: limits(1.5, 1.7) },
  { mode: 'paced', metric: 'gap p99 ms', relation: 'ratio at most', limits: limits(1.2, 1.7) },
  { mode: 'idle', metric: 'KiB/stream', relation: 'ratio at most', limits: limits(1.3, 1.7) },
  { mode: 'cancel', metric: 'p95 ms', relation: 'at most', limits: limits(5, 20) },
  { mode: 'thousand', metric: 'first byte p99 ms', relation: 'at most', limits: limits(100, 100) },
  { mode: 'thousand', metric: 'slowest stream, tokens/s', relation: 'at least', limits: limits(50, 50) },
]
