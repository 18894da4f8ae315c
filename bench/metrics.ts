import type { Measured } from './harness.ts'
import type { Mode } from './modes.ts'

type Of = (measured: Measured) => number

const cpuPerToken: Of = ({ cpuMs, report }) => (cpuMs * 1000) / report.tokens

/** What is read off each load. Times of the clock in ms, CPU time in µs. */
export const METRICS: Record<Mode, Record<string, Of>> = {
  'first token': {
    'p50 ms': ({ report }) => report.firstTokenMs.p50,
    'p95 ms': ({ report }) => report.firstTokenMs.p95,
  },
  short: {
    'CPU µs/request': ({ cpuMs, report }) => (cpuMs * 1000) / report.completed,
    'requests/s': ({ report }) => report.completed / report.seconds,
  },
  dense: {
    'CPU µs/token': cpuPerToken,
    'tokens/s': ({ report }) => report.tokens / report.seconds,
  },
  paced: {
    'CPU µs/token': cpuPerToken,
    'gap p50 ms': ({ report }) => report.gapMs.p50,
    'gap p99 ms': ({ report }) => report.gapMs.p99,
  },
  thousand: {
    'first byte p99 ms': ({ report }) => report.firstByteMs.p99,
    'slowest stream, tokens/s': ({ report }) => report.tokensPerSecond.min,
    'CPU µs/token': cpuPerToken,
  },
  cancel: {
    'p50 ms': ({ report }) => report.cancelMs.p50,
    'p95 ms': ({ report }) => report.cancelMs.p95,
  },
  idle: { 'KiB/stream': ({ grownKib, streams }) => grownKib / streams },
}
