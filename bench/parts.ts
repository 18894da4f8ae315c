import type { Cores } from './machine.ts'

export interface BenchOptions {
  rounds: number
  /** A quarter of each load. */
  quick: boolean
  /** Names of targets and of modes of the chat bench; empty for all. */
  targets: readonly string[]
  modes: readonly string[]
  /** A folder for CPU profiles of the targets. */
  profiles: string | undefined
  cores: Cores | undefined
  /** Tells how far it is. */
  say(line: string): void
}

/** What must hold, and whether it does. */
export interface Gate {
  what: string
  target: string
  limit: string
  measured: string
  passed: boolean
}

export interface PartReport {
  /** Markdown. */
  text: string
  gates: Gate[]
  /** For `bench/results`. */
  data: unknown
}
