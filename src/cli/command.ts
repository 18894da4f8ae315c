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
  /** Who sits there to be asked; undefined where stdin is no terminal. */
  person: Person | undefined
  /** All that is piped in. */
  input(): Promise<string>
  /** Ctrl-C goes to `handle`, and no longer to `signal`, until the function that it gives is called. */
  onInterrupt(handle: () => void): () => void
}

export interface Person {
  /** What is typed or pasted, lines that come at once together; undefined when there will be none, or once the signal aborts. */
  ask(question: string, signal: AbortSignal): Promise<string | undefined>
  /** As `ask`, of what was typed once the question stood there: nobody agrees to what they have not seen. */
  confirm(question: string, signal: AbortSignal): Promise<string | undefined>
}

export interface Command {
  /** As the usage shows them; the last may be left out where it stands in brackets. */
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
  /** Empty where it was left out. */
  operand(index: number): string
  flag(name: string): boolean
  text(name: string): string | undefined
  list(name: string): string[]
  /** For a person, or with `--json` for a machine. */
  show(value: unknown, forPeople: () => string): void
}
