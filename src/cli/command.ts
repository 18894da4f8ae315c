import type { ParseArgsOptionsConfig } from 'node:util'
import type { Client } from './client.ts'

/** Where a command runs. */
export interface Host {
  /** Of the process that is asked; the local one when absent. */
  url: string | undefined
  /** Sent as bearer. */
  token: string | undefined
  out(text: string | Uint8Array): void
  err(text: string): void
  /** Of the terminal; undefined where it is none. */
  columns: number | undefined
  /** Aborts when the command is told to stop. */
  signal: AbortSignal
}

export interface Command {
  operands: readonly string[]
  /** As the usage shows them. */
  flags: string
  summary: string
  options: ParseArgsOptionsConfig
  run(call: Call): Promise<void>
}

export interface Call {
  client: Client
  host: Host
  operand(index: number): string
  flag(name: string): boolean
  text(name: string): string | undefined
  list(name: string): string[]
  /** For a person, or with `--json` for a machine. */
  show(value: unknown, forPeople: () => string): void
}
